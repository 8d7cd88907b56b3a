/** Random chains and packets that meet often: few ports, addresses at the edges of few ranges. */
import fc from 'fast-check';
import { type HostAddresses, internetOf } from '../../../policies/flows/peer-addresses.ts';
import type { Packet } from '../../../policies/model.ts';
import {
  type AddressRange,
  addressFrom,
  bitsOf,
  type Family,
  mergeRanges,
  parseAddress,
  parseRange,
} from '../../../render/address.ts';
import { type DnsName, parseDnsName } from '../../../render/dns-name.ts';
import type { Direction, PeerMatch, PolicyChain, Rule, ServiceMatch } from '../../../render/rule.ts';

export const rangesOf = (...texts: readonly string[]): { 4: AddressRange[]; 6: AddressRange[] } => {
  const merged = mergeRanges(texts.map((text) => parseRange(text) ?? never(text)));
  return { 4: merged.filter(({ family }) => family === 4), 6: merged.filter(({ family }) => family === 6) };
};

function never(text: string): never {
  throw new Error(`no range: ${text}`);
}

function name(text: string): DnsName {
  return parseDnsName(text) ?? never(text);
}

/** The host lies in its lan, and so does one of the containers, as it is on many hosts. */
export const host: HostAddresses = {
  host: rangesOf('192.0.2.1', '169.254.0.1', '2001:db8::1', 'fe80::1'),
  lan: rangesOf('192.0.2.0/24', '2001:db8::/64'),
  containers: rangesOf('192.0.2.10', '198.51.100.16/28', '2001:db8::10', '2001:db8:c::/64'),
  dns: new Map([[name('a.example'), ['203.0.113.5', '2001:db8:f::1'].flatMap((text) => parseAddress(text) ?? [])]]),
};

const LISTS = [
  rangesOf('192.0.2.10', '2001:db8::10'),
  rangesOf('192.0.2.0-192.0.2.9', '198.51.100.20', '2001:db8::/32'),
  rangesOf('203.0.113.0/25', '203.0.113.200-203.0.113.210', '10.0.0.0/8', '2001:db8:f::/64', 'fd00::/8'),
  rangesOf('0.0.0.0/1', '255.255.255.255', '::/1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),
  rangesOf('203.0.113.127-203.0.113.128', '2001:db8:0:1::-2001:db8:c::'),
  rangesOf('203.0.113.1', '203.0.113.3', '203.0.113.5', '203.0.113.7', '203.0.113.9', '2001:db8:f::1'),
];

const peer: fc.Arbitrary<PeerMatch> = fc.oneof(
  fc.constantFrom<PeerMatch>({ kind: 'any' }, { kind: 'host' }, { kind: 'lan' }, { kind: 'internet' }),
  fc.constantFrom<PeerMatch>({ kind: 'dns', name: name('a.example') }, { kind: 'dns', name: name('unknown.example') }),
  fc
    .record({ list: fc.constantFrom(...LISTS), family: fc.constantFrom<Family>(4, 6) })
    .map(({ list, family }): PeerMatch => ({ kind: 'ranges', family, ranges: list[family] })),
  fc.constantFrom<PeerMatch>({ kind: 'ranges', family: 4, ranges: [] }),
);

const PORTS = [
  [{ first: 1, last: 65535 }],
  [{ first: 80, last: 80 }],
  [{ first: 79, last: 81 }],
  [
    { first: 22, last: 22 },
    { first: 80, last: 443 },
  ],
  [{ first: 65535, last: 65535 }],
];

const service: fc.Arbitrary<ServiceMatch> = fc.oneof(
  fc
    .record({ protocol: fc.constantFrom(6 as const, 17 as const, 132 as const), ports: fc.constantFrom(...PORTS) })
    .map((rest): ServiceMatch => ({ kind: 'ports', ...rest })),
  fc.constantFrom<ServiceMatch>(
    { kind: 'any' },
    { kind: 'any' },
    { kind: 'protocol', protocol: 6 },
    { kind: 'protocol', protocol: 47 },
    { kind: 'icmp', family: 4 },
    { kind: 'icmp', family: 6 },
    { kind: 'icmp', family: 4, type: 8 },
    { kind: 'icmp', family: 6, type: 128 },
  ),
);

const rule: fc.Arbitrary<Rule> = fc
  .record({
    peer,
    service,
    action: fc.constantFrom('allow' as const, 'allow' as const, 'drop' as const, 'reject' as const, 'log' as const),
    family: fc.constantFrom<Family | undefined>(undefined, undefined, undefined, 4, 6),
    line: fc.integer({ min: 1, max: 99 }),
  })
  .map(({ family, line, ...rest }) => ({
    ...rest,
    log: false,
    origin: { file: 'web.yaml', line },
    ...(family === undefined ? {} : { family }),
  }));

/** When rules of endingChain end. */
export const ENDS: readonly number[] = [100, 200, 300];

export const endingChain = (direction: Direction): fc.Arbitrary<PolicyChain> =>
  fc
    .record({
      one: chain(direction),
      ends: fc.array(fc.constantFrom(undefined, ...ENDS), { minLength: 8, maxLength: 8 }),
    })
    .map(({ one, ends }) => ({
      ...one,
      rules: one.rules.map((plain, index) => {
        const until = ends[index];
        return until === undefined ? plain : { ...plain, until };
      }),
    }));

export const chain = (direction: Direction, maxLength = 8): fc.Arbitrary<PolicyChain> =>
  fc
    .record({
      rules: fc.array(rule, { maxLength }),
      verdict: fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const),
      observes: fc.constantFrom(false, false, false, true),
    })
    .map(({ rules, verdict, observes }) => ({
      direction,
      rules,
      default: { verdict, log: false, origin: null },
      ...(observes ? { observe: { until: 1_800_000_000, origin: { file: 'web.yaml', line: 100 } } } : {}),
    }));

/** At and beside each end of each range that any peer can be. */
function edges(family: Family): bigint[] {
  const all = [...LISTS, host.host, host.lan, host.containers, internetOf(host)].flatMap((list) => list[family]);
  const top = (1n << BigInt(bitsOf(family))) - 1n;
  const numbers = all.flatMap(({ first, last }) => [first - 1n, first, last, last + 1n]);
  return [...new Set(numbers)].filter((number) => number >= 0n && number <= top);
}

const ADDRESSES = { 4: edges(4), 6: edges(6) };

const fields: fc.Arbitrary<Pick<Packet, 'protocol' | 'port'>> = fc.oneof(
  fc.record({
    protocol: fc.constantFrom(6, 17, 132),
    port: fc.constantFrom(0, 1, 21, 22, 23, 78, 79, 80, 81, 82, 442, 443, 444, 65534, 65535),
  }),
  fc.constantFrom(47, 0, 255, 1, 58).map((protocol) => ({ protocol })),
);

const ICMP_TYPES = { 4: [0, 8, 13, 255], 6: [0, 127, 128, 129, 255] };

export const packet = (direction: Direction): fc.Arbitrary<Packet> =>
  fc
    .record({ family: fc.constantFrom<Family>(4, 6), fields, type: fc.nat(), at: fc.nat() })
    .map(({ family, fields: rest, type, at }) => {
      const far = addressFrom(ADDRESSES[family][at % ADDRESSES[family].length] ?? 0n, family);
      const own = addressFrom(0n, family);
      const types = ICMP_TYPES[family];
      const isIcmp = rest.protocol === (family === 4 ? 1 : 58);
      return {
        family,
        ...rest,
        ...(isIcmp ? { icmpType: types[type % types.length] ?? 0 } : {}),
        ...(direction === 'egress' ? { source: own, destination: far } : { source: far, destination: own }),
      };
    });
