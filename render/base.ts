/** The part of the ruleset that no container changes: base chains, guard, anti-spoofing and the refusals. */
import { formatRange, mergeRanges, type Prefix, rangeOf } from './address.ts';
import { antispoofChains, PLAIN6 } from './antispoof.ts';
import { arpBoundingChains, arpSenders, boundingChains, boundingSets, neighbourSets } from './bounds.ts';
import { bridgedRules } from './bridged.ts';
import { constants } from './constant-sets.ts';
import { countedSets, countingChains } from './counted.ts';
import type { HostState, NicState } from './desired.ts';
import { guard, guardedSet } from './guard.ts';
import { NON_PUBLIC } from './non-public.ts';
import { OWNED, type OwnedSet } from './owned.ts';
import type { NftChain, NftSet } from './ruleset.ts';

/**
 * Where our base chains stand beside others'. A packet passes every base chain of a hook in this order, and a drop in
 * any of them is final:
 *
 *     prerouting  -450 ours · -400 conntrack defragmentation · -300 raw (notrack) · -200 conntrack · -150 mangle
 *                 -105 ours, published ports · -100 dnat
 *     input       -10 ours · -9 ours, what is allowed is counted · 0 filter (iptables, ufw, Docker, Proxmox) · 10 firewalld
 *     forward     -10 ours, the sender's side · -9 ours, the receiver's · 0 filter (iptables, ufw, Docker, Proxmox) · 10 firewalld
 *     output      -105 ours, published ports · -100 dnat · -10 ours · 0 filter · 10 firewalld
 *     postrouting  95 ours, masquerade and published ports · 100 snat
 *
 * A panic (render/panic.ts) stands one before ours in each of them, with a table of its own.
 *
 * Anti-spoofing (antispoof.ts) stands before all else: a spoofed packet never reaches another's flow.
 *
 * Sender and receiver are asked by a base chain each, so that no chain of a container leads to the receivers' map: when
 * an element is added, the kernel walks every way from every base chain, and one map behind the other makes that the
 * product of both.
 */
const HOOKS = {
  forwardFrom: 'type filter hook forward priority filter - 10; policy accept;',
  forwardTo: 'type filter hook forward priority filter - 9; policy accept;',
  input: 'type filter hook input priority filter - 10; policy accept;',
  inputAdmit: 'type filter hook input priority filter - 9; policy accept;',
  output: 'type filter hook output priority filter - 10; policy accept;',
  arp: 'type filter hook input priority filter - 10; policy accept;',
};

/** ICMP messages that pass only as part of the flow that they are about, or that only routers send. */
const NEVER4 = { unreachable: 3, quench: 4, redirect: 5, routerAdvert: 9, timeExceeded: 11, parameterProblem: 12 };
const NEVER6 = { unreachable: 1, tooBig: 2, timeExceeded: 3, parameterProblem: 4, routerAdvert: 134, redirect: 137 };
/** Neighbour discovery and multicast listener reports: what a link needs before anything else works. */
const NEIGHBOUR6 = { report: 131, done: 132, solicit: 135, advert: 136, report2: 143 };

/** `bridged`: NICs by whose ports nothing comes in but frames to addresses that a bridge keeps for itself, as LLDP's. */
export function inetSets(host: HostState, bridged: readonly NicState[]): [string, NftSet][] {
  return [
    ['guarded', guardedSet(host, bridged)],
    [
      'lan4',
      ranges(
        'ipv4_addr',
        host.lan.filter((prefix) => !prefix.includes(':')),
      ),
    ],
    [
      'lan6',
      ranges(
        'ipv6_addr',
        host.lan.filter((prefix) => prefix.includes(':')),
      ),
    ],
    ['nonpublic4', ranges('ipv4_addr', NON_PUBLIC[4])],
    ['nonpublic6', ranges('ipv6_addr', NON_PUBLIC[6])],
    ['never4', constants('icmp_type', Object.values(NEVER4))],
    ['never6', constants('icmpv6_type', Object.values(NEVER6))],
    ['neighbour6', constants('icmpv6_type', Object.values(NEIGHBOUR6))],
    ['plain6', constants('inet_proto', Object.values(PLAIN6))],
    ['ported', constants('inet_proto', [6, 17, 132])],
    ...boundingSets(host),
    ...countedSets(host.bridges !== undefined),
  ];
}

export const arpSets = (host: HostState, bridged: readonly NicState[]): [string, NftSet][] => [
  ['guarded', guardedSet(host, bridged)],
  ...neighbourSets(),
];

/**
 * `ownedSets`: the sets of inet that exist, so that only prefix lengths in use cost a lookup. `translated`: what the host
 * itself sends, where translation leads it to a container.
 */
export function inetChains(
  host: HostState,
  ownedSets: readonly OwnedSet[],
  translated: readonly string[] = [],
): [string, NftChain][] {
  const bridged = bridgedRules(host);
  return [
    ...antispoofChains(host, ownedSets),
    [
      'forward_from',
      chain(HOOKS.forwardFrom, [
        'ct state established accept',
        'ct state related goto related',
        ...bridged.neighboursPast,
        // Each of these says no by itself: a lost element leaves the next one in charge.
        'iifname vmap @from_container',
        'iifname @veths drop',
        ...bridged.from,
        ...guard('iifname', host),
      ]),
    ],
    [
      'forward_to',
      chain(HOOKS.forwardTo, [
        'ct state established,related accept',
        ...bridged.neighboursPast,
        'jump admit',
        'goto receive',
      ]),
    ],
    [
      'input',
      chain(HOOKS.input, [
        'ct state established accept',
        'ct state related goto related',
        'icmpv6 type 135 iifname @veths goto solicited',
        'icmpv6 type @neighbour6 iifname @veths accept',
        'iifname vmap @from_container',
        'iifname @veths drop',
        ...bridged.neighboursIn,
        ...bridged.from,
        ...guard('iifname', host),
      ]),
    ],
    ['input_admit', chain(HOOKS.inputAdmit, ['ct state established,related accept', 'jump admit'])],
    [
      'output',
      chain(HOOKS.output, [
        'ct state established,related accept',
        'icmpv6 type @neighbour6 oifname @veths accept',
        // What this host itself reports, among it our own rejects, which conntrack doesn't relate to their flow.
        'icmp type @never4 oifname @veths accept',
        'icmpv6 type @never6 oifname @veths accept',
        ...translated,
        ...bridged.hostOut,
        'goto receive',
      ]),
    ],
    ...boundingChains(host),
    [
      'receive',
      chain('', ['oifname vmap @to_container', 'oifname @veths drop', ...bridged.to, ...guard('oifname', host)]),
    ],
    // An ICMP redirect counts as related too, and would move a neighbour's route. Conntrack takes an error about a flow
    // from anyone, as routers send them; a container that has no part in the flow is none of its routers.
    [
      'related',
      chain('', [
        'icmp type 5 drop',
        ...partners(ownedSets),
        'iifname @veths drop',
        ...bridged.partners,
        ...guard('iifname', host),
        'accept',
      ]),
    ],
    // What belongs to no flow that conntrack knows: unsolicited errors, and TCP from the middle of a connection, by
    // which the other end of one that was cut would bring it back.
    [
      'orphans',
      chain('', [
        'icmp type @never4 drop',
        'icmpv6 type @never6 drop',
        'tcp flags & (fin | syn | rst | ack) != syn drop',
      ]),
    ],
    [
      'never',
      chain('', [
        'jump orphans',
        'udp sport 67 udp dport 68 drop',
        'udp sport 547 udp dport 546 drop',
        // What listens there listens for the host alone, also where `route_localnet` lets it be reached by a wire. Not what
        // an administrator's rule led there.
        'ct original ip daddr 127.0.0.0/8 drop',
      ]),
    ],
    ...countingChains(host.bridges !== undefined),
    ...(['egress', 'ingress'] as const).flatMap(refusals),
  ];
}

export const arpChains = (host: HostState, ownedSets: readonly OwnedSet[]): [string, NftChain][] => [
  ['input', chain(HOOKS.arp, [...arpSenders(ownedSets), 'iifname @veths drop', ...guard('iifname', host)])],
  ...arpBoundingChains(),
];

/** The sender is one of the two that the flow is between: `iifname . ct original ip saddr @owned4 accept` */
const partners = (sets: readonly OwnedSet[]): string[] =>
  sets.flatMap((set) =>
    (['original', 'reply'] as const).map(
      (direction) => `${OWNED.match({ ...set, field: `ct ${direction} ${set.field}` })} accept`,
    ),
  );

function refusals(direction: 'egress' | 'ingress'): [string, NftChain][] {
  return [
    [`${direction}_observe`, chain('', [`jump ${direction}_seen`, 'accept'])],
    [`${direction}_drop`, chain('', [`jump ${direction}_note`, 'drop'])],
    [
      `${direction}_reject`,
      chain('', [
        `jump ${direction}_note`,
        'meta l4proto 6 reject with tcp reset',
        'reject with icmpx type port-unreachable',
      ]),
    ],
  ];
}

const chain = (hook: string, rules: readonly string[]): NftChain => ({ hook, rules });

function ranges(type: 'ipv4_addr' | 'ipv6_addr', prefixes: readonly Prefix[]): NftSet {
  const merged = mergeRanges(prefixes.map(rangeOf)).map(formatRange);
  return {
    kind: 'set',
    spec: `type ${type}; flags interval;`,
    dynamic: false,
    elements: new Map(merged.map((text) => [text, ''])),
  };
}
