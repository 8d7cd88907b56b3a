/** Listings as nft prints them; fixtures/recorded names the commands and the version. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  diffListings,
  isSameListing,
  parseListing,
  sortListing,
  withListed,
  withoutListed,
} from '../../render/listing.ts';
import { atOnce } from '../../render/pieces.ts';
import { type NftSet, type NftTable, type Ruleset, renderRuleset } from '../../render/ruleset.ts';
import { runCase } from '../cases/golden-case.ts';

const recorded = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/recorded/${name}`, import.meta.url)), 'utf8');
const inetOf = (ruleset: Ruleset): NftTable => ruleset.get('inet') ?? expect.unreachable();
/** What containers and policies brought; the rest of the ruleset may have grown since the recording. */
const sizesOf = ({ sets, chains }: NftTable) => ({
  sets: Object.fromEntries(
    [...sets]
      .filter(([name]) => /^(veths|owned|from_container|to_container|guarded|lan|peers|ports)/.test(name))
      .map(([name, { elements }]) => [name, elements.size]),
  ),
  chains: Object.fromEntries(
    [...chains].filter(([name]) => /_[0-9a-f]{16}$/.test(name)).map(([name, { rules }]) => [name, rules.length]),
  ),
});

describe('a listing of what we loaded', () => {
  it.each([
    ['nft-list-sets.txt', '25-sets'],
    ['nft-list-odd-names.txt', '16-odd-veth-names'],
  ])('%s has the sets, chains, elements and rules of case %s', async (file, name) => {
    const { ruleset } = await runCase(name);
    const listing = parseListing(recorded(file));
    expect([...listing.keys()]).toEqual(['inet', 'arp']);
    for (const family of ['inet', 'arp'] as const) {
      expect(sizesOf(listing.get(family) ?? expect.unreachable())).toEqual(
        sizesOf(ruleset.get(family) ?? expect.unreachable()),
      );
    }
  });

  it('keeps odd names whole', () => {
    const { sets } = inetOf(parseListing(recorded('nft-list-odd-names.txt')));
    const names = ['"{"', '"!&"', '"-v"', '"$x"', '"..a"', '"a,b"', '"a;b"', '"fwd"', '"drop"', '"~[]|<>`^"'];
    expect([...(sets.get('veths')?.elements.keys() ?? [])]).toEqual(names);
    expect(sets.get('owned4')?.elements.has('"a,b" . 192.0.2.25')).toBe(true);
    expect(sets.get('to_container')?.elements.get('"fwd"')).toBe('goto ingress_08c1c9cac39c1f63');
  });

  it('reads declarations, hooks and elements over several lines', () => {
    const { sets, chains } = inetOf(parseListing(recorded('nft-list-sets.txt')));
    expect(sets.get('owned4')?.spec).toBe('typeof iifname . ip saddr; counter;');
    expect(sets.get('from_container')).toMatchObject({ kind: 'map', spec: 'typeof iifname : verdict;' });
    expect([...(sets.get('peers4_b48770710d32')?.elements.keys() ?? [])]).toContain('203.0.113.5-203.0.113.9');
    expect(chains.get('forward_from')?.hook).toBe('type filter hook forward priority filter - 10; policy accept;');
    expect(chains.get('receive')?.hook).toBe('');
    expect(chains.get('related')?.rules.at(0)).toBe('icmp type redirect drop');
    expect(sets.get('refused_egress4')).toMatchObject({ dynamic: true });
  });
});

describe('a listing of what others did', () => {
  const foreign = parseListing(recorded('nft-list-foreign.txt'));

  it('has their sets, maps and chains, told apart from ours by name alone', () => {
    const { sets, chains, flags } = inetOf(foreign);
    expect(flags).toEqual(['dormant']);
    expect(sets.get('foreign')?.spec).toContain('type ipv4_addr;');
    expect([...(sets.get('jumps')?.elements ?? [])]).toEqual([
      ['"a"', 'jump apart'],
      ['"b"', 'drop'],
    ]);
    expect(chains.get('apart')?.rules.at(-1)).toContain('ip saddr { 192.0.2.1, 192.0.2.2 }');
    expect(chains.get('forward_from')?.hook).toContain('policy drop');
    expect([...foreign.keys()]).toEqual(['inet', 'arp']);
    expect(foreign.get('arp')?.flags).toBeUndefined();
  });

  it('forgets what packets filled in', () => {
    expect(inetOf(foreign).sets.get('refused_egress4')?.elements.size).toBe(0);
  });

  it('is mended by replacing the table whose chain has another policy', async () => {
    const { ruleset } = await runCase('01-v4-only');
    const commands = diffListings(foreign, without(foreign), ruleset);
    expect(commands.slice(0, 2)).toEqual(['delete table inet routewall', 'add table inet routewall']);
    // What the recording is too old for is added beside it.
    expect(commands.filter((command) => /^(delete|flush) .*arp/.test(command))).toEqual([]);
  });

  /** As it would be listed, had nobody touched it. */
  function without(ruleset: Ruleset): Ruleset {
    const { sets, chains } = inetOf(ruleset);
    const forward = chains.get('forward_from') ?? expect.unreachable();
    const ours = { ...forward, hook: forward.hook.replace('drop', 'accept') };
    return new Map([...ruleset, ['inet', { sets, chains: new Map([...chains, ['forward_from', ours]]) }]]);
  }
});

describe('listings', () => {
  const table = (parts: Partial<NftTable>): Ruleset =>
    new Map([['inet', { sets: new Map(), chains: new Map(), ...parts }]]);
  const chain = (...rules: string[]) => ({ chains: new Map([['c', { hook: '', rules }]]) });

  it('differ from nothing where there is no table, and from no other table', () => {
    expect(parseListing('').size).toBe(0);
    expect(parseListing('table ip routewall {\n\tchain c {\n\t\taccept\n\t}\n}\n').size).toBe(0);
    expect(parseListing('table inet routewall2 {\n}\n').size).toBe(0);
    expect(parseListing('table inet routewall { # progname nft\n\tflags owner,persist\n}\n').size).toBe(1);
  });

  it('that tell a chain or a table twice, once without what it holds, are read as if they told it once', () => {
    const whole =
      'table inet routewall {\n\tset s {\n\t\ttype ifname\n\t\telements = { "a" }\n\t}\n\n\tchain c {\n\t\taccept\n\t}\n';
    const empty = '\tset s {\n\t\ttype ifname\n\t}\n\n\tchain c {\n\t}\n';
    const once = parseListing(`${whole}}\n`);
    expect(once.get('inet')?.chains.get('c')?.rules).toEqual(['accept']);
    expect(parseListing(`${whole}\n\tchain c {\n\t}\n}\n`)).toEqual(once);
    expect(parseListing(`${whole}}\ntable inet routewall {\n${empty}}\n`)).toEqual(once);
    expect(parseListing(`table inet routewall {\n${empty}}\n${whole}}\n`)).toEqual(once);
  });

  it('are compared with listings: what is written otherwise but means the same is no difference', () => {
    const rendered = table(chain('icmp type 8 accept'));
    const listed = table(chain('icmp type echo-request accept'));
    expect(diffListings(listed, listed, rendered)).toEqual([]);
    expect(diffListings(table(chain('drop')), listed, rendered)).toEqual([
      'flush chain inet routewall c',
      'add rule inet routewall c icmp type 8 accept',
    ]);
  });

  it('fill a chain that was told to be empty as if it were not', () => {
    const rendered = table(chain('accept'));
    expect(diffListings(table(chain()), rendered, rendered)).toEqual([
      'flush chain inet routewall c',
      'add rule inet routewall c accept',
    ]);
  });

  it('mend only what differs', () => {
    const set = (...keys: string[]) => ({
      sets: new Map([
        ['s', { kind: 'set' as const, spec: 'x', dynamic: false, elements: new Map(keys.map((k) => [k, ''])) }],
      ]),
    });
    expect(diffListings(table(set('"a"', '"z"')), table(set('"a"', '"b"')), table(set('"a"', '"b"')))).toEqual([
      'delete element inet routewall s { "z" }',
      'add element inet routewall s { "b" }',
    ]);
  });

  it('are sorted by name, in every set too', async () => {
    const { ruleset } = await runCase('25-sets');
    const backwards = new Map(
      [...ruleset].map(([family, { sets, chains }]) => [
        family,
        { sets: new Map([...sets].reverse()), chains: new Map([...chains].reverse()) },
      ]),
    );
    expect(renderRuleset(sortListing(backwards))).toBe(renderRuleset(sortListing(ruleset)));
  });
});

describe('what a listing has in the same words', () => {
  const listing = parseListing(recorded('nft-list-sets.txt'));
  const keysOf = (ruleset: Ruleset, name: string) => [...(inetOf(ruleset).sets.get(name)?.elements.keys() ?? [])];
  const declaredAs = (ruleset: Ruleset, name: string, spec: string): Ruleset => {
    const { sets, chains } = inetOf(ruleset);
    const set = sets.get(name) ?? expect.unreachable();
    return new Map([...ruleset, ['inet', { chains, sets: new Map([...sets, [name, { ...set, spec }]]) }]]);
  };

  it('is left out, but for one element a chain, and intervals', () => {
    const { rest } = atOnce(withoutListed(listing, listing));
    const { sets } = inetOf(listing);
    expect(keysOf(listing, 'veths').length).toBeGreaterThan(1);
    expect(keysOf(rest, 'veths')).toEqual([]);
    expect(keysOf(rest, 'owned4')).toEqual([]);
    for (const name of ['from_container', 'to_container']) {
      const chains = new Set(sets.get(name)?.elements.values());
      expect(keysOf(rest, name)).toHaveLength(chains.size);
    }
    expect(keysOf(rest, 'peers4_b48770710d32')).toEqual(keysOf(listing, 'peers4_b48770710d32'));
    expect(inetOf(rest).chains).toBe(inetOf(listing).chains);
  });

  it('leads back to the whole', () => {
    const { rest, same } = atOnce(withoutListed(listing, listing));
    const whole = withListed(rest, same, listing) ?? expect.unreachable();
    expect(sortListing(whole)).toEqual(sortListing(listing));
  });

  it('is told from other words, and from what only one of both has', () => {
    const other = parseListing(recorded('nft-list-sets.txt').replaceAll('goto egress', 'jump egress'));
    const { rest } = atOnce(withoutListed(listing, other));
    expect(keysOf(rest, 'from_container')).toEqual(keysOf(listing, 'from_container'));
    expect(atOnce(withoutListed(listing, new Map())).rest).toEqual(listing);
  });

  it('is not taken where a set is declared otherwise', () => {
    const { rest, same } = atOnce(withoutListed(listing, declaredAs(listing, 'owned4', 'typeof iifname . ip daddr;')));
    expect(keysOf(rest, 'owned4')).toEqual([]);
    expect(withListed(rest, same, declaredAs(listing, 'owned4', 'typeof iifname . ip daddr;'))).toBeUndefined();
    const intervals = declaredAs(listing, 'owned4', 'typeof iifname . ip saddr; flags interval;');
    expect(keysOf(atOnce(withoutListed(listing, intervals)).rest, 'owned4')).toEqual(keysOf(listing, 'owned4'));
  });
});

describe('two listings are the same where their sorted texts are', () => {
  const listing = parseListing(recorded('nft-list-sets.txt'));
  const inet = inetOf(listing);
  const withInet = (change: Partial<NftTable>): Ruleset => new Map([...listing, ['inet', { ...inet, ...change }]]);
  const backwards = <T>(map: ReadonlyMap<string, T>): Map<string, T> => new Map([...map].reverse());
  const withSet = (name: string, change: (set: NftSet) => NftSet): Ruleset =>
    withInet({ sets: new Map([...inet.sets].map(([own, set]) => [own, own === name ? change(set) : set])) });
  const withElements = (name: string, change: (elements: [string, string][]) => [string, string][]): Ruleset =>
    withSet(name, (set) => ({ ...set, elements: new Map(change([...set.elements])) }));
  const withRules = (change: (rules: readonly string[]) => readonly string[]): Ruleset =>
    withInet({
      chains: new Map([...inet.chains].map(([name, chain]) => [name, { ...chain, rules: change(chain.rules) }])),
    });

  it.each<[string, boolean, Ruleset]>([
    ['in another order', true, withInet({ sets: backwards(inet.sets), chains: backwards(inet.chains) })],
    ['elements in another order', true, withElements('veths', (all) => all.reverse())],
    ['held by somebody', true, withInet({ flags: ['owner', 'persist'] })],
    ['switched off', false, withInet({ flags: ['dormant'] })],
    ['an element less', false, withElements('veths', (all) => all.slice(1))],
    ['an element more', false, withElements('veths', (all) => [...all, ['"other"', '']])],
    ['an element for another', false, withElements('veths', (all) => [['"other"', ''], ...all.slice(1)])],
    ['other data', false, withElements('from_container', (all) => all.map(([key]) => [key, 'drop']))],
    ['a set of another kind', false, withSet('veths', (set) => ({ ...set, kind: 'map' }))],
    ['a set of another type', false, withSet('veths', (set) => ({ ...set, spec: `${set.spec} counter;` }))],
    ['a set less', false, withInet({ sets: new Map([...inet.sets].slice(1)) })],
    ['a chain less', false, withInet({ chains: new Map([...inet.chains].slice(1)) })],
    ['another hook', false, withInet({ chains: new Map([...inet.chains, ['forward_from', { hook: '', rules: [] }]]) })],
    ['rules in another order', false, withRules((rules) => [...rules].reverse())],
    ['a rule less', false, withRules((rules) => rules.slice(1))],
    ['no table of ARP', false, new Map([['inet', inet]])],
    ['nothing', false, new Map()],
  ])('%s', (_what, same, other) => {
    const textOf = (ruleset: Ruleset): string => renderRuleset(sortListing(ruleset));
    expect(textOf(other) === textOf(listing)).toBe(same);
    expect(isSameListing(listing, other)).toBe(same);
    expect(isSameListing(other, listing)).toBe(same);
    expect(isSameListing(other, new Map(other))).toBe(true);
  });
});
