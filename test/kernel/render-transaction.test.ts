/** What render/ writes, through the real channel into a real kernel, against what the kernel then lists. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NftChannel, openNftChannel } from '../../controller/commands/nft-channel.ts';
import { type Run, run, runOrThrow } from '../../controller/commands/run.ts';
import { listElsewhere, readRuleset } from '../../controller/kernel/observe.ts';
import { chainHash } from '../../policies/chain-hash.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { NO_NAMES } from '../../render/dns-name.ts';
import { diffListings, sortListing } from '../../render/listing.ts';
import { chainNaming, diffDesired, renderDesired } from '../../render/nft.ts';
import type { PolicyChain } from '../../render/rule.ts';
import { EMPTY_RULESET, type Ruleset, TABLE } from '../../render/ruleset.ts';
import { diffRulesets } from '../../render/transaction.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { desiredSequence, interfaceName, prefix } from '../render/random-desired.ts';
import { runIn, startIn } from './namespace-commands.ts';

const nameOf = chainNaming(chainHash);
const render = (state: DesiredState): Ruleset => renderDesired(state, nameOf);
const OURS = ['inet', 'arp'];

let inside: Run;
let channel: NftChannel;

beforeAll(async () => {
  const namespace = await createNamespace('transaction');
  inside = runIn(namespace);
  channel = openNftChannel(startIn(namespace), await makeFolder());
});
afterAll(async () => {
  channel.stop();
  await cleanUp();
});

const listed = async (): Promise<Ruleset> => sortListing(await readRuleset(inside));
const expected = async (state: DesiredState): Promise<Ruleset> => sortListing(await listElsewhere(run, render(state)));
const nft = (text: string): Promise<string> => runOrThrow(inside, 'nft', ['-f', '-'], { input: text });

/** With handles, so that what was deleted and made again shows. */
const everything = (): Promise<string> => runOrThrow(inside, 'nft', ['-a', 'list', 'ruleset']);

/** Puts the kernel into the state, whatever it holds. */
async function enforce(state: DesiredState): Promise<void> {
  const removal = OURS.map((family) => `add table ${family} ${TABLE}\ndelete table ${family} ${TABLE}`);
  await nft(removal.join('\n'));
  expect(await channel.commit(diffRulesets(EMPTY_RULESET, render(state)))).toBeUndefined();
}

const SEQUENCES = 56;
const PER_TEST = 14;

describe('from state to state', () => {
  const sequences = fc.sample(desiredSequence(8), { seed: 20_260_101, numRuns: SEQUENCES });
  const batches = Array.from({ length: SEQUENCES / PER_TEST }, (_, index) => index * PER_TEST);

  it.each(batches)('ends where loading the last state whole ends, from sequence %i on', async (first) => {
    for (const states of sequences.slice(first, first + PER_TEST)) {
      let before = states[0] ?? expect.unreachable();
      await enforce(before);
      for (const after of states.slice(1)) {
        const commands = diffDesired(before, after, nameOf);
        expect(await channel.commit(commands), commands.join('\n')).toBeUndefined();
        before = after;
      }
      expect(await listed()).toEqual(await expected(before));
    }
  });
});

/** What others, or a bug of ours, may do to our tables; every one of them nft takes on its own. */
function damagesOf(state: DesiredState): string[] {
  const nics = [...state.nics.values()];
  const policy = nics.flatMap((nic) => [nameOf(nic.egress), nameOf(nic.ingress)]);
  const sets = [...(render(state).get('inet')?.sets ?? [])].filter(([, set]) => set.kind === 'set' && !set.dynamic);
  return [
    ...sets.flatMap(([name, { elements }]) =>
      [...elements.keys()].slice(0, 1).map((key) => `delete element inet routewall ${name} { ${key} }`),
    ),
    ...nics.map(({ hostVeth }) => `delete element inet routewall from_container { "${hostVeth}" }`),
    ...nics.map(({ hostVeth }) => `delete element arp routewall veths { "${hostVeth}" }`),
    ...['antispoof', 'forward_from', 'forward_to', 'receive', ...policy].map(
      (name) => `flush chain inet routewall ${name}`,
    ),
    ...['input', 'output', 'never', ...policy].map((name) => `insert rule inet routewall ${name} accept`),
    'add rule inet routewall forward_from iifname "eth0" counter drop',
    'add element inet routewall veths { "eth0", "x,y" }',
    'add element inet routewall from_container { "eth0" : accept }',
    'add element inet routewall lan4 { 203.0.113.0-203.0.113.77 }',
    'add set inet routewall foreign { type ipv4_addr; elements = { 192.0.2.1 }; }',
    'add chain inet routewall foreign { type filter hook forward priority 7; policy accept; }',
    [
      'add chain inet routewall theirs',
      'add map inet routewall jumps { type ifname : verdict; elements = { "a" : goto theirs }; }',
      'add rule inet routewall theirs ip saddr { 192.0.2.1, 192.0.2.2 } accept',
      'add rule inet routewall forward_from iifname vmap @jumps',
    ].join('\n'),
    'add chain inet routewall input { policy drop; }',
    'add table inet routewall { flags dormant; }',
    'delete table inet routewall',
    'delete table arp routewall',
    'delete table inet routewall\ndelete table arp routewall',
  ];
}

describe('after damage', () => {
  const states = fc
    .sample(desiredSequence(8), { seed: 77, numRuns: 40 })
    .flatMap((sequence) => sequence.filter(({ nics }) => nics.size >= 4).slice(-1))
    .slice(0, 3);

  it.each(states.map((state, index) => [index, state] as const))(
    'restores exactly what should be, and then finds nothing (state %i)',
    async (_index, state) => {
      const rendered = render(state);
      const reference = await listElsewhere(run, rendered);
      const right = sortListing(reference);
      await enforce(state);
      for (const damage of damagesOf(state)) {
        await nft(damage);
        const damaged = await readRuleset(inside);
        expect(sortListing(await listElsewhere(run, rendered, damaged)), damage).toEqual(right);
        const commands = diffListings(damaged, reference, rendered);
        expect(commands.length, damage).toBeGreaterThan(0);
        expect(await channel.commit(commands), commands.join('\n')).toBeUndefined();
        const mended = await readRuleset(inside);
        expect(sortListing(mended), damage).toEqual(right);
        expect(diffListings(mended, reference, rendered), damage).toEqual([]);
      }
    },
  );

  it('restores several damages at once', async () => {
    for (const [index, state] of states.entries()) {
      const rendered = render(state);
      const reference = await listElsewhere(run, rendered);
      const several = damagesOf(state).filter((damage) => !damage.includes('delete table'));
      for (const damages of fc.sample(fc.shuffledSubarray(several, { minLength: 5 }), { seed: index, numRuns: 2 })) {
        await enforce(state);
        // One may have made another impossible, such as deleting what is deleted.
        for (const damage of damages) await inside('nft', ['-f', '-'], { input: damage });
        await channel.commit(diffListings(await readRuleset(inside), reference, rendered));
        expect(await listed(), damages.join('\n')).toEqual(sortListing(reference));
      }
    }
  });

  it('touches no table of others', async () => {
    const [state = expect.unreachable()] = states;
    await enforce(state);
    await nft('table ip other { set s { type ipv4_addr; elements = { 192.0.2.1 }; }\nchain c { accept; }; }');
    const theirs = await runOrThrow(inside, 'nft', ['-a', 'list', 'table', 'ip', 'other']);
    await nft('delete table inet routewall');
    await channel.commit(
      diffListings(await readRuleset(inside), await listElsewhere(run, render(state)), render(state)),
    );
    expect(await runOrThrow(inside, 'nft', ['-a', 'list', 'table', 'ip', 'other'])).toBe(theirs);
    await nft('delete table ip other');
  });
});

const drop = (direction: 'egress' | 'ingress'): PolicyChain => ({
  direction,
  rules: [],
  default: { verdict: 'drop', log: false, origin: null },
});

/** Made by hand, as no parser would let it through. */
const impossible: PolicyChain = {
  ...drop('ingress'),
  rules: [
    {
      peer: { kind: 'any' },
      service: { kind: 'ports', protocol: 6, ports: [{ first: 70_000, last: 70_000 }] },
      action: 'allow',
      log: false,
      origin: { file: 'web.yaml', line: 7 },
    },
  ],
};

const nicOf = (name: string, address: string, ingress: PolicyChain): NicState => ({
  container: name,
  nic: 'eth0',
  hostVeth: interfaceName(`veth-${name}`),
  owned: [prefix(address)],
  egress: drop('egress'),
  ingress,
  routes: [],
  gateways: [],
  proxies: [],
  sysctls: [],
});

describe('a refused transaction', () => {
  const host: DesiredState['host'] = {
    guardPatterns: [],
    guardedNames: [],
    uplinks: [],
    lan: [],
    log: { group: 5, rate: '10/second' },
    connections: { most: 8192, rate: '1000/second', fragments: '2000/second' },
  };
  const empty: DesiredState = { host, nics: new Map(), dns: NO_NAMES };
  const good: DesiredState = { ...empty, nics: new Map([['web', nicOf('web', '192.0.2.10/32', drop('ingress'))]]) };

  it('leaves the kernel untouched and names the command', async () => {
    await enforce(good);
    const before = await everything();
    const nics = new Map([
      ...good.nics,
      ['db', nicOf('db', '192.0.2.11/32', drop('ingress'))] as const,
      ['bad', nicOf('bad', '192.0.2.12/32', impossible)] as const,
    ]);
    const refusal = await channel.commit(diffDesired(good, { ...empty, nics }, nameOf));
    expect(refusal?.command).toBe(
      `add rule inet routewall ${nameOf(impossible)} tcp dport 70000 accept comment "web.yaml:7"`,
    );
    expect(refusal?.message).toMatch(/out of range|exceeds/i);
    expect(await everything()).toBe(before);
    expect(await listed()).toEqual(await expected(good));
  });

  it('names the command that the kernel refuses, too', async () => {
    await enforce(good);
    const commands = [
      'add element inet routewall veths { "a" }',
      'delete chain inet routewall receive',
      'add element inet routewall veths { "b" }',
    ];
    const refusal = await channel.commit(commands);
    expect(refusal).toEqual({ command: commands[1], message: expect.stringContaining('Device or resource busy') });
    expect(await listed()).toEqual(await expected(good));
  });

  it('writes nothing where nothing differs', async () => {
    await enforce(good);
    const before = await everything();
    expect(diffDesired(good, { ...empty, nics: new Map(good.nics) }, nameOf)).toEqual([]);
    expect(await channel.commit([])).toBeUndefined();
    expect(await everything()).toBe(before);
  });
});
