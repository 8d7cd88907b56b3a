/** The sets in which the ruleset counts packets by interface, peer, protocol and port, and the chains that fill them. */
import type { NftChain, NftSet } from './ruleset.ts';

/**
 * What a packet met. egress and ingress: a policy; spoof: it came from a container's interface and from no address of
 * that container, or from an address of one and not from its interface; guard: it came from an interface that nobody claims.
 */
export type CountedBy = 'egress' | 'ingress' | 'spoof' | 'guard';

/** `observed`: would have been refused, and passed. */
export type CountedAs = 'refused' | 'observed';

interface Counting {
  readonly as: CountedAs;
  readonly by: CountedBy;
  /** The chain that counts a packet and returns. */
  readonly chain: string;
  readonly interface: 'iifname' | 'oifname';
  /** Whose address is counted: the destination's, or the sender's. */
  readonly side: 'daddr' | 'saddr';
  /**
   * Whom it is counted for. What is observed outlives the interface, which has another name after each start; what is
   * refused may come from an address that isn't the container's.
   */
  readonly of: 'interface' | 'address';
}

const COUNTINGS: readonly Counting[] = [
  { as: 'refused', by: 'egress', chain: 'egress_note', interface: 'iifname', side: 'daddr', of: 'interface' },
  { as: 'refused', by: 'ingress', chain: 'ingress_note', interface: 'oifname', side: 'saddr', of: 'interface' },
  { as: 'refused', by: 'spoof', chain: 'spoof_note', interface: 'iifname', side: 'saddr', of: 'interface' },
  { as: 'refused', by: 'guard', chain: 'guard_note', interface: 'iifname', side: 'saddr', of: 'interface' },
  { as: 'observed', by: 'egress', chain: 'egress_seen', interface: 'iifname', side: 'daddr', of: 'address' },
  { as: 'observed', by: 'ingress', chain: 'ingress_seen', interface: 'oifname', side: 'saddr', of: 'address' },
];

/** Seconds without a packet after which an element goes: its age is this less what nft says it expires in. */
export const COUNTED_SECONDS: Readonly<Record<CountedAs, number>> = { refused: 3600, observed: 31 * 86_400 };

const TIMEOUT: Readonly<Record<CountedAs, string>> = { refused: '1h', observed: '31d' };

/**
 * New elements that one interface may bring: a set that one container fills (65,535 ports take it a second) would hide
 * what the others are refused. What is in the set already goes on being counted.
 */
const ROOM: Readonly<Record<CountedAs, string>> = {
  refused: 'limit rate over 1000/hour burst 1000 packets',
  observed: 'limit rate over 100/day burst 2000 packets',
};

const FAMILIES = ['4', '6'] as const;

export const countedSetName = ({ as, by }: { as: CountedAs; by: CountedBy }, family: '4' | '6'): string =>
  `${as}_${by}${family}`;

export function countedSets(): [string, NftSet][] {
  return COUNTINGS.flatMap((counting): [string, NftSet][] => [
    ...FAMILIES.map((family): [string, NftSet] => [
      countedSetName(counting, family),
      dynamicSet(
        `typeof ${keyOf(counting, family)} . th dport; size 65535; flags dynamic,timeout; counter; timeout ${TIMEOUT[counting.as]};`,
      ),
    ]),
    [
      roomName(counting),
      dynamicSet(`typeof ${counting.interface}; size 65535; flags dynamic,timeout; timeout ${TIMEOUT[counting.as]};`),
    ],
  ]);
}

/**
 * What is new and finds no room left isn't counted. A set that is full takes no new element, which ends the rule and not
 * the packet's way: the verdict is another rule's. Only a lookup that is negated leaves the counter of what it finds
 * alone.
 */
export function countingChains(): [string, NftChain][] {
  return COUNTINGS.map((counting) => {
    const room = `update @${roomName(counting)} { ${counting.interface} ${ROOM[counting.as]} }`;
    const rules = FAMILIES.flatMap((family) => keysOf(counting, family)).flatMap(({ match, set, key }) => [
      `${match} ${key} != @${set} ${room} return`,
      `${match} update @${set} { ${key} }`,
    ]);
    return [counting.chain, { hook: '', rules }];
  });
}

const roomName = ({ as, by }: Counting): string => `${as}_${by}_room`;

const dynamicSet = (spec: string): NftSet => ({ kind: 'set', spec, dynamic: true, elements: new Map() });

function keyOf({ interface: name, side, of }: Counting, family: '4' | '6'): string {
  const ip = family === '4' ? 'ip' : 'ip6';
  const whose = of === 'interface' ? name : `${ip} ${side === 'daddr' ? 'saddr' : 'daddr'}`;
  return `${whose} . ${ip} ${side} . meta l4proto`;
}

/** ICMP has no ports: in the place of the source port stand its type and code, as type × 256 + code. */
function keysOf(counting: Counting, family: '4' | '6') {
  const [nfproto, icmp] = family === '4' ? ['ipv4', 1] : ['ipv6', 58];
  const set = countedSetName(counting, family);
  const key = keyOf(counting, family);
  return [
    { match: `meta nfproto ${nfproto} meta l4proto @ported`, set, key: `${key} . th dport` },
    { match: `meta nfproto ${nfproto} meta l4proto ${icmp}`, set, key: `${key} . th sport` },
    {
      match: `meta nfproto ${nfproto} meta l4proto != @ported meta l4proto != ${icmp}`,
      set,
      key: `${key} . th sport & 0`,
    },
  ];
}
