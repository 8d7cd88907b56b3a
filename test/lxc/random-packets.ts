/** Packets of any make, by a seed: rows of `hostile.ts` whose name says how to make them again. */
import { ALICE, HOST, INTERNET } from './attack-targets.ts';
import type { Attack } from './hostile.ts';

type Next = (below: number) => number;

/** The same numbers for the same seed (mulberry32). */
function numbersFrom(seed: number): Next {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const TARGETS = [HOST, ALICE, INTERNET, ['192.0.2.2', '2001:db8:0:1::2']] as const;
const OPTIONS = ['', 'IPOption_NOP()', 'IPOption_RR()', 'IPOption_LSRR(routers=["203.0.113.80"])'];
const EXTENSIONS = [
  'IPv6ExtHdrHopByHop()',
  'IPv6ExtHdrDestOpt()',
  'IPv6ExtHdrFragment(id=3)',
  'IPv6ExtHdrRouting(type=4, segleft=1, addresses=["2001:db8:ffff::80"])',
  'AH(spi=9, seq=1, icv=b"\\0" * 12, padding=b"")',
];
/** What a link needs passes to the host itself, whatever it holds. */
const NEIGHBOURLY = new Set([131, 132, 135, 136, 143]);

export function randomPackets(seed: number, count: number): Attack[] {
  const next = numbersFrom(seed);
  return Array.from({ length: count }, (_, index) => {
    const frame = next(2) === 0 ? packet4(next) : packet6(next);
    return [`${index} of seed ${seed}: ${frame}`, frame];
  });
}

const pick = <T>(next: Next, list: readonly T[]): T => {
  const one = list[next(list.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
};

function packet4(next: Next): string {
  const sources = ['ME4', 'ME4', 'ME4', `"${ALICE[0]}"`, `"${HOST[0]}"`, '"192.0.2.2"', `"203.0.113.${next(256)}"`];
  const fragment = next(6) === 0 ? `, flags="${pick(next, ['MF', 'DF', ''])}", frag=${next(64)}` : '';
  const header = `IP(src=${pick(next, sources)}, dst="${pick(next, TARGETS)[0]}", ttl=${1 + next(255)}, tos=${next(256)}, id=${next(65_536)}, options=[${pick(next, OPTIONS)}]${fragment}`;
  if (next(4) === 0) return `E/${header}, proto=${next(256)})/Raw(b"\\0\\1" * ${next(20)})/M`;
  const icmp = `ICMP(type=${next(256)}, code=${next(8)}, id=${next(65_536)})`;
  return `E/${header})/${pick(next, [...transports(next), icmp])}/M`;
}

function packet6(next: Next): string {
  const sources = [
    'ME6',
    'ME6',
    'ME6',
    `"${ALICE[1]}"`,
    `"${HOST[1]}"`,
    '"fe80::66"',
    '"::"',
    `"2001:db8::${next(99)}"`,
  ];
  const chain = Array.from({ length: next(4) }, () => `/${pick(next, EXTENSIONS)}`).join('');
  const header = `E/IPv6(src=${pick(next, sources)}, dst="${pick(next, TARGETS)[1]}", hlim=${1 + next(255)}, tc=${next(256)}, fl=${next(65_536)})${chain}`;
  const type = next(256);
  const icmp = `ICMPv6Unknown(type=${NEIGHBOURLY.has(type) ? 128 : type}, code=${next(8)})`;
  const frame = `${header}/${pick(next, [...transports(next), icmp])}/M`;
  // A bit of the header: version, class, label, length, what follows, hops, the low half of either address.
  return next(3) === 0 ? flipped(frame, 14 + pick(next, [0, 1, 3, 4, 5, 6, 7, 20, 23, 36, 39]), 1 << next(8)) : frame;
}

const transports = (next: Next): string[] => [
  `UDP(sport=${next(30_000)}, dport=${next(65_536)})`,
  `TCP(sport=${next(30_000)}, dport=${next(65_536)}, flags=${next(256)}, seq=${next(2 ** 31)})`,
  `SCTP(sport=${next(30_000)}, dport=${next(65_536)})/SCTPChunkInit()`,
];

const flipped = (frame: string, at: number, bits: number): string =>
  `Raw(bytes(x ^ (${bits} if i == ${at} else 0) for i, x in enumerate(bytes(${frame}))))`;
