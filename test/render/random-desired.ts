/** Random sequences of desired states of one host, in which what doesn't change keeps its identity. */
import fc from 'fast-check';
import {
  type AddressRange,
  type Family,
  mergeRanges,
  type Prefix,
  parseAddress,
  parsePrefix,
  rangeOf,
} from '../../render/address.ts';
import type { DesiredState, HostState, NicState } from '../../render/desired.ts';
import { type DnsAddresses, NO_NAMES, parseDnsName } from '../../render/dns-name.ts';
import {
  type InterfaceName,
  type InterfacePattern,
  parseInterfaceName,
  parseInterfacePattern,
} from '../../render/names.ts';
import type { PeerMatch, PolicyChain, RateLimit, Rule, ServiceMatch } from '../../render/rule.ts';

export const prefix = (text: string): Prefix => parsePrefix(text) ?? never(text);
export const interfaceName = (text: string): InterfaceName => parseInterfaceName(text) ?? never(text);
export const pattern = (text: string): InterfacePattern => parseInterfacePattern(text) ?? never(text);

function never(text: string): never {
  throw new Error(`no such thing: ${JSON.stringify(text)}`);
}

/** Short lists unroll, long ones become sets; few of them, so that different chains share a set. */
const LISTS: Record<Family, readonly (readonly AddressRange[])[]> = {
  4: [
    [],
    ['203.0.113.7'],
    ['203.0.113.0/28', '203.0.113.64/26'],
    ['192.0.2.1', '192.0.2.3', '192.0.2.5', '192.0.2.7', '192.0.2.9', '198.51.100.0/25'],
    ['192.0.2.1', '192.0.2.3', '192.0.2.5', '192.0.2.7', '192.0.2.32/27', '203.0.113.1'],
  ].map((list) => mergeRanges(list.map((text) => rangeOf(prefix(text))))),
  6: [
    ['2001:db8::7'],
    ['2001:db8:1::/64', '2001:db8:3::/64', '2001:db8:5::/64', '2001:db8:7::/64', '2001:db8:9::/64', '2001:db8:b::1'],
  ].map((list) => mergeRanges(list.map((text) => rangeOf(prefix(text))))),
};

const rangesPeer = (family: Family): fc.Arbitrary<PeerMatch> =>
  fc.constantFrom(...LISTS[family]).map((ranges) => ({ kind: 'ranges', family, ranges }));

const NAMES = ['deb.example', 'a.b.example'].flatMap((text) => parseDnsName(text) ?? []);

const answers: fc.Arbitrary<DnsAddresses> = fc
  .tuple(...NAMES.map(() => fc.subarray(['203.0.113.80', '203.0.113.81', '2001:db8:ffff::80', '2001:db8:ffff::81'])))
  .map(
    (lists) =>
      new Map(NAMES.map((name, index) => [name, (lists[index] ?? []).flatMap((text) => parseAddress(text) ?? [])])),
  );

const peer: fc.Arbitrary<PeerMatch> = fc.oneof(
  fc.constantFrom<PeerMatch>({ kind: 'any' }, { kind: 'host' }, { kind: 'lan' }, { kind: 'internet' }),
  fc.constantFrom(...NAMES).map((name): PeerMatch => ({ kind: 'dns', name })),
  rangesPeer(4),
  rangesPeer(6),
);

const PORTS = [[80], [80, 443], [1, 3, 5, 7, 9], [2, 4, 6, 8, 10, 12]].map((ports) =>
  ports.map((port) => ({ first: port, last: port })),
);

const service: fc.Arbitrary<ServiceMatch> = fc.oneof(
  fc.constantFrom<ServiceMatch>({ kind: 'any' }, { kind: 'protocol', protocol: 47 }, { kind: 'icmp', family: 4 }),
  fc.record({
    kind: fc.constant('ports' as const),
    protocol: fc.constantFrom(6 as const, 17 as const, 132 as const),
    ports: fc.constantFrom(...PORTS),
  }),
  fc.constantFrom<ServiceMatch>({ kind: 'icmp', family: 6, type: 128 }, { kind: 'icmp', family: 4, type: 8 }),
);

const LIMITS: readonly RateLimit[] = [
  { flows: 20, per: 'second', burst: 40, shared: '0123456789abcdef' },
  { flows: 3, per: 'day', burst: 1, shared: 'fedcba9876543210' },
];

const rule: fc.Arbitrary<Rule> = fc
  .record({
    peer,
    service,
    action: fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const, 'log' as const),
    log: fc.boolean(),
    family: fc.constantFrom<Family | undefined>(undefined, undefined, 4, 6),
    limit: fc.constantFrom<RateLimit | undefined>(undefined, undefined, ...LIMITS),
    until: fc.constantFrom<number | undefined>(undefined, undefined, 1_800_000_000, 1_900_000_000),
  })
  .map(({ family, limit, until, ...rest }) => {
    const own = rest.peer.kind === 'ranges' ? rest.peer.family : rest.service.kind === 'icmp' ? rest.service.family : 0;
    const fits = family !== undefined && own === 0;
    // Equal rules have equal origins, as the compiler sees to.
    const bounds = {
      ...(limit === undefined || rest.action !== 'allow' ? {} : { limit }),
      ...(until === undefined ? {} : { until }),
    };
    return { ...rest, ...bounds, ...(fits ? { family } : {}), origin: { file: 'some.yaml', line: 1 } };
  });

const chain = (direction: 'egress' | 'ingress'): fc.Arbitrary<PolicyChain> =>
  fc
    .record({
      rules: fc.array(rule, { maxLength: 5 }),
      verdict: fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const),
      log: fc.boolean(),
      owner: fc.constantFrom({ container: 'web', id: 'web' }, { container: 'web', id: 'web', nic: 'eth0' }),
      until: fc.constantFrom<number | undefined>(undefined, undefined, undefined, 1_800_000_000),
    })
    .map(({ rules, verdict, log, owner, until }) => ({
      direction,
      rules,
      default: { verdict, log, origin: null },
      ...(until === undefined ? {} : { observe: { until, origin: { file: 'some.yaml', line: 1 } } }),
      ...(log || rules.some((one) => one.log || one.action === 'log' || one.limit !== undefined) ? { owner } : {}),
    }));

const guardedNames: fc.Arbitrary<InterfaceName[]> = fc.subarray(['a;b', 'veth3', 'veth-up'].map(interfaceName));

const hostState: fc.Arbitrary<HostState> = fc.record({
  guardPatterns: fc.constantFrom([pattern('veth*')], [pattern('veth*'), pattern('lxc-*')], []),
  guardedNames,
  uplinks: fc.constantFrom([], [interfaceName('veth-up')]),
  lan: fc.constantFrom([], [prefix('192.0.2.0/24')], [prefix('192.0.2.0/24'), prefix('2001:db8::/64')]),
  log: fc.constantFrom<HostState['log']>({ group: 5, rate: '10/second' }, { group: 'kernel', rate: '5/minute' }),
  connections: fc.constantFrom(
    { most: 8192, rate: '1000/second', fragments: '2000/second' },
    { most: 1, rate: '999999/day', fragments: '1/hour' },
  ),
});

/** Each NIC has addresses and prefixes of its own, and one of two names; odd ones among them. */
const KEYS = Array.from({ length: 8 }, (_, index) => index);
const VETHS = ['fwd', 'a;b', 'a,b', '$x', '{', 'drop', '-v', '~[]|<>`^'];

const ownedOf = (key: number): fc.Arbitrary<Prefix[]> =>
  fc.subarray(
    [
      `203.0.113.${key * 16}/32`,
      `203.0.113.${key * 16 + 8}/29`,
      `198.51.100.${key * 16}/28`,
      `2001:db8:f::${key}/128`,
      `2001:db8:${key + 1}::/64`,
    ].map(prefix),
  );

interface Pool {
  readonly egress: readonly PolicyChain[];
  readonly ingress: readonly PolicyChain[];
}

const pool: fc.Arbitrary<Pool> = fc.record({
  egress: fc.array(chain('egress'), { minLength: 1, maxLength: 4 }),
  ingress: fc.array(chain('ingress'), { minLength: 1, maxLength: 4 }),
});

const nicState = (key: number, { egress, ingress }: Pool): fc.Arbitrary<NicState> =>
  fc.record({
    container: fc.constant(`c${key}`),
    nic: fc.constant('eth0'),
    hostVeth: fc.constantFrom(interfaceName(`veth${key}`), interfaceName(VETHS[key] ?? 'other')),
    owned: ownedOf(key),
    egress: fc.constantFrom(...egress),
    ingress: fc.constantFrom(...ingress),
    routes: fc.constant([]),
    gateways: fc.constant([]),
    proxies: fc.constant([]),
    sysctls: fc.constant([]),
  });

interface Step {
  readonly host: HostState | null;
  /** Of the same host, as when a container is made. */
  readonly guarded: readonly InterfaceName[] | null;
  readonly dns: DnsAddresses | null;
  readonly nics: readonly NicChange[];
  readonly edit: Edit | null;
}
/** As an edit of a profile: all who have the chain of one of them, by number, get another. */
interface Edit {
  readonly of: number;
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain | null;
}
/** `null`: it stops. */
interface NicChange {
  readonly key: number;
  readonly nic: NicState | null;
}

const nicChange = (chains: Pool): fc.Arbitrary<NicChange> =>
  fc
    .constantFrom(...KEYS)
    .chain((key) => fc.record({ key: fc.constant(key), nic: fc.option(nicState(key, chains), { freq: 3 }) }));

const step = (chains: Pool): fc.Arbitrary<Step> =>
  fc.record({
    host: fc.option(hostState, { freq: 4 }),
    guarded: fc.option(guardedNames, { freq: 2 }),
    dns: fc.option(answers, { freq: 2 }),
    nics: fc.array(nicChange(chains), { maxLength: 4 }),
    edit: fc.option(
      fc.record({
        of: fc.nat({ max: 7 }),
        egress: fc.constantFrom(...chains.egress),
        ingress: fc.option(fc.constantFrom(...chains.ingress)),
      }),
      { freq: 2 },
    ),
  });

/** The first is empty but for its host; each of the others differs from the one before in some NICs, or the host. */
export const desiredSequence = (maxSteps: number): fc.Arbitrary<DesiredState[]> =>
  fc
    .tuple(hostState, pool)
    .chain(([host, chains]) =>
      fc.tuple(fc.constant(host), fc.array(step(chains), { minLength: 2, maxLength: maxSteps })),
    )
    .map(([host, steps]) => {
      const states: DesiredState[] = [{ host, nics: new Map(), dns: NO_NAMES }];
      for (const one of steps) states.push(advance(states.at(-1) ?? { host, nics: new Map(), dns: NO_NAMES }, one));
      return states;
    });

function advance(state: DesiredState, { host, guarded, nics: changes, dns, edit }: Step): DesiredState {
  const nics = new Map(edit === null ? state.nics : edited(state.nics, edit));
  for (const { key, nic } of changes) {
    const id = `/var/lib/lxc/c${key}/0`;
    if (nic === null) nics.delete(id);
    else nics.set(id, nic);
  }
  const sameHost = guarded === null ? state.host : { ...state.host, guardedNames: guarded };
  return { host: host ?? sameHost, nics, dns: dns ?? state.dns };
}

function* edited(nics: DesiredState['nics'], { of, egress, ingress }: Edit): Iterable<[string, NicState]> {
  const one = [...nics.values()][of % Math.max(nics.size, 1)];
  for (const [key, nic] of nics) {
    const chains = {
      ...(nic.egress === one?.egress ? { egress } : {}),
      ...(nic.ingress === one?.ingress && ingress !== null ? { ingress } : {}),
    };
    yield [key, Object.keys(chains).length === 0 ? nic : { ...nic, ...chains }];
  }
}
