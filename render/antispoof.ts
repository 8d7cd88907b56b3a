/** Who sends from where: the chains that see a packet first, before it is put together, tracked or routed. */

import { overFragments } from './bounds.ts';
import { bridgedRules } from './bridged.ts';
import type { HostState } from './desired.ts';
import { guard } from './guard.ts';
import { comesElsewhere } from './held.ts';
import { OWNED, type OwnedSet } from './owned.ts';
import type { NftChain } from './ruleset.ts';

/**
 * Before defragmentation (-400): the host keeps what isn't whole yet in a store that all share, so that nobody may fill it
 * in another's name, or alone. What is whole and plain passes by its sender in one rule.
 */
const HOOK = 'type filter hook prerouting priority -450; policy accept;';

/** More of it follows, or went before. */
export const IS_FRAGMENT4 = 'ip frag-off & 0x3fff != 0';
export const IS_FRAGMENT6 = 'exthdr frag exists';

/** What has nothing between the IPv6 header and itself. */
export const PLAIN6 = { tcp: 6, udp: 17, icmp: 58, sctp: 132 };

/** What every stack says on a link that comes up, from nobody's address: not worth counting. */
const FIRST_WORDS = ['ip6 saddr :: drop', 'ip6 saddr fe80::/10 drop'];

/** `sets`: those that exist, so that only prefix lengths in use cost a lookup. */
export function antispoofChains(host: HostState, sets: readonly OwnedSet[]): [string, NftChain][] {
  const bridged = bridgedRules(host);
  const refuse = ['jump spoof_note', 'drop'];
  return [
    [
      'antispoof',
      {
        hook: HOOK,
        rules: [
          ...plainOwners(sets),
          'iifname @veths goto claimed',
          ...bridged.sourceRouted,
          ...guard('iifname', host, 'goto guard_drop'),
          ...comesElsewhere(sets),
        ],
      },
    ],
    // What a claimed interface sends beside plain packets from its own addresses.
    [
      'claimed',
      rules(
        'ip hdrlength > 5 jump source_route',
        'exthdr rt exists drop',
        // A router alert too; of a container's own packets, what its multicast listeners say has one, link-locally.
        'exthdr hbh exists ip6 saddr != fe80::/10 ip6 saddr != :: drop',
        ...[IS_FRAGMENT4, IS_FRAGMENT6].map((match) => `${match} goto fragment`),
        ...sets.map((set) => `${OWNED.match(set)} return`),
        // A neighbour that has no address yet, or speaks from its link-local one.
        'ip6 saddr :: icmpv6 type @neighbour6 return',
        'ip6 saddr fe80::/10 icmpv6 type @neighbour6 return',
        ...FIRST_WORDS,
        ...refuse,
      ),
    ],
    ['fragment', rules(...NO_HEADERS, ...sets.map((set) => `${OWNED.match(set)} goto own_fragment`), ...refuse)],
    ['own_fragment', rules(...overFragments(host).map((over) => `${over} goto egress_drop`), 'accept')],
    [
      'source_route',
      rules(
        'ip option lsrr exists drop',
        'ip option ssrr exists drop',
        // By a router alert the kernel hands what is to be forwarded to programs here, before any rule is asked about that.
        'ip option ra exists drop',
      ),
    ],
    ['elsewhere', rules(...refuse)],
    ['guard_drop', rules(...FIRST_WORDS, 'jump guard_note', 'drop')],
  ];
}

/**
 * Headers that IPv6 lets stand in the fragments themselves, before what is carried: behind them, in a later fragment, a
 * routing header would be seen by nobody before all is put together.
 */
export const NO_HEADERS = [43, 44, 60].map((header) => `frag nexthdr ${header} drop`);

/**
 * A sender that names the way hands its packet to one destination and has it forwarded to another, behind the back of
 * what was decided about the first, and of conntrack: on a host whose administrator has switched source routing on. So
 * only packets that can't name one are passed by their sender alone; that is all but every packet, in one rule.
 */
const plainOwners = (sets: readonly OwnedSet[]): string[] =>
  sets.map(
    (set) =>
      `${set.family === 4 ? 'ip hdrlength 5 ip frag-off & 0x3fff == 0' : 'ip6 nexthdr @plain6'} ${OWNED.match(set)} return`,
  );

const rules = (...list: readonly string[]): NftChain => ({ hook: '', rules: list });
