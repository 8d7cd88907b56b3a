import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import type { DesiredState, HostState, NicState } from '../../render/desired.ts';
import { NO_NAMES } from '../../render/dns-name.ts';
import { sortListing } from '../../render/listing.ts';
import { chainNaming, diffDesired, renderDesired } from '../../render/nft.ts';
import type { PeerMatch } from '../../render/rule.ts';
import { EMPTY_RULESET, type NftTable, OWNED_TABLE, type Ruleset } from '../../render/ruleset.ts';
import { diffRulesets } from '../../render/transaction.ts';
import { applyCommands } from './nft-model.ts';
import { desiredSequence, interfaceName } from './random-desired.ts';

const nameOf = chainNaming(chainHash);
const render = (state: DesiredState): Ruleset => renderDesired(state, nameOf);

const table = (parts: Partial<NftTable>): Ruleset =>
  new Map([['inet', { sets: new Map(), chains: new Map(), ...parts }]]);
const chainOf = (...rules: string[]) => ({ hook: '', rules });
const set = (spec: string, ...keys: string[]) => ({
  kind: 'set' as const,
  spec,
  dynamic: spec.includes('dynamic'),
  elements: new Map(keys.map((key) => [key, ''])),
});

describe('diffRulesets', { timeout: 30_000 }, () => {
  it('builds any state from nothing', () => {
    fc.assert(
      fc.property(desiredSequence(3), (states) => {
        for (const state of states) {
          const after = applyCommands(EMPTY_RULESET, diffRulesets(EMPTY_RULESET, render(state)));
          expect(sortListing(after)).toEqual(sortListing(render(state)));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('says nothing about what is the same, in whatever order it stands', () => {
    fc.assert(
      fc.property(desiredSequence(3), (states) => {
        for (const state of states) {
          const backwards = { ...state, nics: new Map([...state.nics].reverse()) };
          expect(diffRulesets(render(state), render(state))).toEqual([]);
          expect(diffRulesets(render(state), render(backwards))).toEqual([]);
          expect(diffDesired(state, backwards, nameOf)).toEqual([]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('never deletes a table to change it', () => {
    fc.assert(
      fc.property(desiredSequence(4), (states) => {
        const commands = pairs(states).flatMap(([a, b]) => diffRulesets(render(a), render(b)));
        expect(commands.filter((command) => command.startsWith('delete table'))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves the elements that packets made alone', () => {
    const before = table({ sets: new Map([['seen', set('type ipv4_addr; flags dynamic;', '192.0.2.1')]]) });
    const after = table({ sets: new Map([['seen', set('type ipv4_addr; flags dynamic;')]]) });
    expect(diffRulesets(before, after)).toEqual([]);
  });

  it('replaces a table whole where a set or a base chain is declared otherwise', () => {
    const before = table({ sets: new Map([['s', set('type ipv4_addr;')]]) });
    const after = table({ sets: new Map([['s', set('type ifname;', '"a"')]]) });
    expect(diffRulesets(before, after)).toEqual([
      'delete table inet routewall',
      'add table inet routewall',
      'add set inet routewall s { type ifname; }',
      'add element inet routewall s { "a" }',
    ]);
    const hook = (priority: string) =>
      table({ chains: new Map([['c', { hook: `type filter ${priority}`, rules: [] }]]) });
    expect(diffRulesets(hook('0'), hook('1'))[0]).toBe('delete table inet routewall');
  });

  it('removes a table that shall not be', () => {
    expect(diffRulesets(table({}), new Map())).toEqual(['delete table inet routewall']);
  });

  it('wakes a table that someone made dormant', () => {
    expect(diffRulesets(table({ flags: ['dormant'] }), table({}))).toEqual(['add table inet routewall']);
  });

  // What the kernel (6.9) allows, as tried by hand: nothing else is.
  it.each([
    ['takes over what an owner left', ['persist'], OWNED_TABLE, ['add TABLE { flags owner, persist; }']],
    ['leaves its own alone', ['owner', 'persist'], OWNED_TABLE, []],
    ['replaces what no owner can leave', [], OWNED_TABLE, ['delete TABLE', 'add TABLE { flags owner, persist; }']],
    ['wakes an orphan as an orphan', ['dormant', 'persist'], [], ['add TABLE { flags persist; }']],
    ['wakes and takes an orphan', ['dormant', 'persist'], OWNED_TABLE, ['add TABLE { flags owner, persist; }']],
    ['minds no orphan where none can be owned', ['persist'], [], []],
  ] as const)('%s', (_what, before, after, commands) => {
    const said = diffRulesets(table({ flags: before }), table({ flags: after }));
    expect(said).toEqual(commands.map((command) => command.replace('TABLE', 'table inet routewall')));
  });

  it('empties what goes before it deletes it: chains, then maps that refer to chains, then chains', () => {
    const map = { kind: 'map' as const, spec: 'm', dynamic: false, elements: new Map([['"x"', 'goto b']]) };
    const before = table({
      sets: new Map([['m', map]]),
      chains: new Map([
        ['a', chainOf('iifname vmap @m')],
        ['b', chainOf('goto a')],
      ]),
    });
    expect(diffRulesets(before, table({}))).toEqual([
      'flush chain inet routewall a',
      'flush chain inet routewall b',
      'delete map inet routewall m',
      'delete chain inet routewall a',
      'delete chain inet routewall b',
    ]);
  });

  it('changes an element of a map by deleting it first, and a chain by emptying it', () => {
    const map = (verdict: string) => ({
      sets: new Map([
        ['m', { kind: 'map' as const, spec: 'm', dynamic: false, elements: new Map([['"x"', verdict]]) }],
      ]),
    });
    expect(diffRulesets(table(map('goto a')), table(map('goto b')))).toEqual([
      'delete element inet routewall m { "x" }',
      'add element inet routewall m { "x" : goto b }',
    ]);
    const chain = (rule: string) => ({ chains: new Map([['c', chainOf(rule)]]) });
    expect(diffRulesets(table(chain('accept')), table(chain('drop')))).toEqual([
      'flush chain inet routewall c',
      'add rule inet routewall c drop',
    ]);
  });

  it.each([
    ['all go from one to a new one', ['a', 'a'], ['c', 'c'], true],
    ['one stays', ['a', 'a'], ['c', 'a'], false],
    ['they part', ['a', 'a'], ['c', 'd'], false],
    ['two become one', ['a', 'b'], ['c', 'c'], false],
    ['one comes', ['a'], ['c', 'c'], false],
    ['one goes', ['a', 'a'], ['c'], false],
    ['they change places', ['a', 'b'], ['b', 'a'], false],
    ['the new one was there', ['a', 'b'], ['b', 'b'], false],
  ])('renames a chain where %s: %j, %j', (_case, from, to, isRenamed) => {
    const state = (names: readonly string[]): Ruleset => {
      const elements = new Map(names.map((name, index) => [`"v${index}"`, `goto ${name}`]));
      const map = { kind: 'map' as const, spec: 'm', dynamic: false, elements };
      const chains = new Map([...new Set(names)].map((name) => [name, chainOf(`${name.charCodeAt(0)}`)]));
      return table({ sets: new Map([['m', map]]), chains });
    };
    const [before, after] = [state(from), state(to)];
    const commands = diffRulesets(before, after);
    expect(sortListing(applyCommands(before, commands))).toEqual(sortListing(after));
    expect(commands.some((command) => command.startsWith('rename'))).toBe(isRenamed);
    expect(commands.some((command) => command.includes('element'))).toBe(!isRenamed);
  });

  it('renames no chain that a rule leads to', () => {
    const state = (name: string): Ruleset => {
      const map = { kind: 'map' as const, spec: 'm', dynamic: false, elements: new Map([['"x"', `goto ${name}`]]) };
      const chains = { base: chainOf(`goto ${name}`), [name]: chainOf(name) };
      return table({ sets: new Map([['m', map]]), chains: new Map(Object.entries(chains)) });
    };
    const commands = diffRulesets(state('one'), state('two'));
    expect(commands.filter((command) => command.startsWith('rename'))).toEqual([]);
    expect(applyCommands(state('one'), commands)).toEqual(state('two'));
  });

  it('splits long lists of elements into several commands', () => {
    const keys = Array.from({ length: 1201 }, (_, index) => `"v${index}"`);
    const many = table({ sets: new Map([['s', set('type ifname;', ...keys)]]) });
    const none = table({ sets: new Map([['s', set('type ifname;')]]) });
    expect(diffRulesets(none, many)).toHaveLength(3);
    expect(diffRulesets(many, none)).toHaveLength(3);
    expect(applyCommands(none, diffRulesets(none, many))).toEqual(many);
  });
});

describe('diffDesired', { timeout: 30_000 }, () => {
  it('leads from each state to the next, in an order that nft takes', () => {
    fc.assert(
      fc.property(desiredSequence(6), (states) => {
        let model = render(states[0] ?? expect.unreachable());
        for (const [before, after] of pairs(states)) {
          model = applyCommands(model, diffDesired(before, after, nameOf));
          expect(sortListing(model)).toEqual(sortListing(render(after)));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('says the same as a comparison of both states rendered whole', () => {
    fc.assert(
      fc.property(desiredSequence(6), (states) => {
        for (const [before, after] of pairs(states)) {
          const whole = diffRulesets(render(before), render(after));
          expect(words(diffDesired(before, after, nameOf))).toEqual(words(whole));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('renames chains in place of changing elements when all get other rules, and gives each its own where they part', () => {
    const states = fc.sample(desiredSequence(8), { seed: 11, numRuns: 200 }).flat();
    const [one, other] = states
      .flatMap(({ nics }) => [...nics.values()])
      .filter(({ owned }) => owned.length > 0)
      .filter((nic, index, all) => all.findIndex(({ egress }) => nameOf(egress) === nameOf(nic.egress)) === index);
    const { host } = states[0] ?? expect.unreachable();
    if (one === undefined || other === undefined) return expect.unreachable();
    const stateOf = (...chains: NicState['egress'][]): DesiredState => ({
      ...{ host, dns: NO_NAMES },
      nics: new Map(chains.map((egress, index) => [`${index}`, { ...many[index % 3], egress } as NicState])),
    });
    const many = ['v0', 'v1', 'v2'].map((name) => ({ ...one, hostVeth: interfaceName(name) }));
    const [old, fresh] = [one.egress, other.egress];
    const step = (before: DesiredState, after: DesiredState): readonly string[] => {
      const commands = diffDesired(before, after, nameOf);
      expect(sortListing(applyCommands(render(before), commands))).toEqual(sortListing(render(after)));
      return commands;
    };
    const all = step(stateOf(old, old, old), stateOf(fresh, fresh, fresh));
    expect(all.at(-1)).toBe(`rename chain inet routewall ${nameOf(old)} ${nameOf(fresh)}`);
    expect(all.filter((command) => / element inet routewall (from|to)_container /.test(command))).toEqual([]);
    for (const [before, after] of [
      [stateOf(old, old, old), stateOf(fresh, fresh, old)],
      [stateOf(old, old, fresh), stateOf(fresh, fresh, old)],
      [stateOf(old, fresh, fresh), stateOf(fresh, fresh, fresh)],
      [stateOf(old, old), stateOf(fresh, fresh, fresh)],
      [stateOf(old, old, old), stateOf(fresh, fresh)],
    ] as const) {
      const commands = step(before, after);
      expect(commands.filter((command) => command.startsWith('rename'))).toEqual([]);
      expect(words(commands)).toEqual(words(diffRulesets(render(before), render(after))));
    }
  });

  it('keeps a named set that another chain still uses', () => {
    const ports = [1, 3, 5, 7, 9].map((port) => ({ first: port, last: port }));
    const nic = (veth: string, peer: PeerMatch): NicState => ({
      container: veth,
      nic: 'eth0',
      hostVeth: interfaceName(veth),
      owned: [],
      egress: { direction: 'egress', rules: [], default: { verdict: 'drop', log: false, origin: null } },
      ingress: {
        direction: 'ingress',
        rules: [
          {
            peer,
            service: { kind: 'ports', protocol: 6, ports },
            action: 'allow',
            log: false,
            origin: { file: 'a.yaml', line: 1 },
          },
        ],
        default: { verdict: 'drop', log: false, origin: null },
      },
      routes: [],
      gateways: [],
      proxies: [],
      sysctls: [],
    });
    const host: HostState = {
      guardPatterns: [],
      guardedNames: [],
      uplinks: [],
      lan: [],
      log: { group: 5, rate: '1/second' },
      connections: { most: 8192, rate: '1000/second', fragments: '2000/second' },
    };
    const one = nic('one', { kind: 'any' });
    const two = nic('two', { kind: 'lan' });
    const alone: DesiredState = { host, nics: new Map([['2', two]]), dns: NO_NAMES };
    const both: DesiredState = { ...alone, nics: new Map([...alone.nics, ['1', one]]) };
    const stop = diffDesired(both, alone, nameOf);
    expect(stop.filter((command) => command.includes('delete set'))).toEqual([]);
    expect(sortListing(applyCommands(render(both), stop))).toEqual(sortListing(render(alone)));
    const start = diffDesired(alone, both, nameOf);
    expect(start.filter((command) => command.includes('add set'))).toEqual([]);
    expect(sortListing(applyCommands(render(alone), start))).toEqual(sortListing(render(both)));
  });

  it('writes elements only, when a container starts whose chains others use', () => {
    const [first, second] = fc.sample(desiredSequence(8), { seed: 7, numRuns: 300 }).flatMap((states) => {
      const [nic] = states.flatMap((state) => [...state.nics.values()]);
      const { host } = states[0] ?? expect.unreachable();
      if (nic === undefined || nic.owned.length === 0) return [];
      const before: DesiredState = { host, nics: new Map([['a', nic]]), dns: NO_NAMES };
      const twin = { ...nic, hostVeth: 'veth99' as typeof nic.hostVeth };
      return [diffDesired(before, { ...before, nics: new Map([...before.nics, ['b', twin]]) }, nameOf)];
    });
    for (const commands of [first, second]) {
      expect(commands?.length).toBeGreaterThan(0);
      expect(commands?.filter((command) => !command.startsWith('add element'))).toEqual([]);
    }
  });
});

function pairs<T>(list: readonly T[]): [T, T][] {
  return list.slice(1).map((item, index) => [list[index] ?? item, item]);
}

/** The commands with the elements of each sorted: their order within a command means nothing. */
const words = (commands: readonly string[]): string[] =>
  commands.map((command) => (command.includes(' element ') ? command.split(/[ ,]+/).sort().join(' ') : command)).sort();
