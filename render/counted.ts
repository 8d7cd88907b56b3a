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
  /** Behind a bridge all share one interface, and the bridge table lets nobody but its owner send from an address. */
  readonly isBridged?: boolean;
}

const COUNTINGS: readonly Counting[] = [
  { as: 'refused', by: 'egress', chain: 'egress_note', interface: 'iifname', side: 'daddr', of: 'interface' },
  { as: 'refused', by: 'ingress', chain: 'ingress_note', interface: 'oifname', side: 'saddr', of: 'interface' },
  { as: 'refused', by: 'spoof', chain: 'spoof_note', interface: 'iifname', side: 'saddr', of: 'interface' },
  { as: 'refused', by: 'guard', chain: 'guard_note', interface: 'iifname', side: 'saddr', of: 'interface' },
  { as: 'observed', by: 'egress', chain: 'egress_seen', interface: 'iifname', side: 'daddr', of: 'address' },
  { as: 'observed', by: 'ingress', chain: 'ingress_seen', interface: 'oifname', side: 'saddr', of: 'address' },
];

const BRIDGED_COUNTINGS: readonly Counting[] = COUNTINGS.flatMap((counting) =>
  counting.by === 'egress' || counting.by === 'ingress'
    ? [{ ...counting, chain: `bridged_${counting.chain}`, of: 'address', isBridged: true }]
    : [],
);

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

/** What is observed is told by address in any case, and so stands in one set. */
export const countedSetName = (
  { as, by, isBridged = false }: Pick<Counting, 'as' | 'by' | 'isBridged'>,
  family: '4' | '6',
): string => `${isBridged && as === 'refused' ? 'bridged_' : ''}${as}_${by}${family}`;

const countingsOf = (hasBridges: boolean): readonly Counting[] =>
  hasBridges ? [...COUNTINGS, ...BRIDGED_COUNTINGS] : COUNTINGS;

export function countedSets(hasBridges: boolean): [string, NftSet][] {
  return countingsOf(hasBridges).flatMap((counting): [string, NftSet][] => {
    const timeout = `timeout ${TIMEOUT[counting.as]};`;
    return [
      ...FAMILIES.map((family): [string, NftSet] => [
        countedSetName(counting, family),
        dynamicSet(
          `typeof ${keyOf(counting, family)} . th dport; size 65535; flags dynamic,timeout; counter; ${timeout}`,
        ),
      ]),
      ...FAMILIES.map((family): [string, NftSet] => [
        roomName(counting, family),
        dynamicSet(`typeof ${roomKey(counting, family)}; size 65535; flags dynamic,timeout; ${timeout}`),
      ]),
    ];
  });
}

/**
 * What is new and finds no room left isn't counted. A set that is full takes no new element, which ends the rule and not
 * the packet's way: the verdict is another rule's. Only a lookup that is negated leaves the counter of what it finds
 * alone.
 */
export function countingChains(hasBridges: boolean): [string, NftChain][] {
  return countingsOf(hasBridges).map((counting) => {
    const rules = FAMILIES.flatMap((family) => {
      const room = `update @${roomName(counting, family)} { ${roomKey(counting, family)} ${ROOM[counting.as]} }`;
      return keysOf(counting, family).flatMap(({ match, set, key }) => [
        `${match} ${key} != @${set} ${room} return`,
        `${match} update @${set} { ${key} }`,
      ]);
    });
    return [counting.chain, { hook: '', rules: [...(hasBridges ? toBridged(counting) : []), ...rules] }];
  });
}

/** `iifname . ip saddr @bridged4 goto bridged_egress_note` */
function toBridged(counting: Counting): string[] {
  const own = BRIDGED_COUNTINGS.find(({ chain }) => chain === `bridged_${counting.chain}`);
  if (own === undefined) return [];
  return FAMILIES.map(
    (family) => `${counting.interface} . ${ownAddress(own, family)} @bridged${family} goto ${own.chain}`,
  );
}

const ownAddress = ({ side }: Counting, family: '4' | '6'): string =>
  `${family === '4' ? 'ip' : 'ip6'} ${side === 'daddr' ? 'saddr' : 'daddr'}`;

const roomName = ({ as, by, isBridged = false }: Counting, family: '4' | '6'): string =>
  isBridged ? `bridged_${as}_${by}${family}_room` : `${as}_${by}_room`;

const roomKey = (counting: Counting, family: '4' | '6'): string =>
  counting.isBridged === true ? ownAddress(counting, family) : counting.interface;

const dynamicSet = (spec: string): NftSet => ({ kind: 'set', spec, dynamic: true, elements: new Map() });

function keyOf(counting: Counting, family: '4' | '6'): string {
  const { interface: name, side, of } = counting;
  const ip = family === '4' ? 'ip' : 'ip6';
  const whose = of === 'interface' ? name : ownAddress(counting, family);
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
