/** The part of our iptables chains that no container changes. */
import type { Family } from '../address.ts';
import type { HostState } from '../desired.ts';
import { type InterfaceName, matchesAny } from '../names.ts';
import { HELD_NET_SET, HELD_SET, isNameable, isWildcard, OWNED_SET, SHUT_SET } from './xt-names.ts';
import type { XtTableName } from './xt-ruleset.ts';

/**
 * Where our chains are entered, first of all rules there. What is allowed returns from them, so that other firewalls'
 * rules behind ours decide too, as with nftables.
 */
export const JUMPS: Readonly<Record<XtTableName, readonly [string, readonly string[]][]>> = {
  raw: [['PREROUTING', ['-j RW-ANTISPOOF']]],
  filter: [
    ['INPUT', ['-j RW-INPUT']],
    // Sender and receiver one after the other: what the first allows comes back here.
    ['FORWARD', ['-j RW-FORWARD-FROM', '-j RW-FORWARD-TO']],
    ['OUTPUT', ['-j RW-OUTPUT']],
  ],
};

const NEVER4 = { unreachable: 3, quench: 4, redirect: 5, routerAdvert: 9, timeExceeded: 11, parameterProblem: 12 };
const NEVER6 = { unreachable: 1, tooBig: 2, timeExceeded: 3, parameterProblem: 4, routerAdvert: 134, redirect: 137 };
const NEIGHBOUR6 = { report: 131, done: 132, solicit: 135, advert: 136, report2: 143 };

const icmp = (family: Family, type: number): string =>
  family === 4 ? `-p icmp -m icmp --icmp-type ${type}` : `-p ipv6-icmp -m icmp6 --icmpv6-type ${type}`;

const never = (family: Family): string[] =>
  Object.values(family === 4 ? NEVER4 : NEVER6).map((type) => icmp(family, type));

const neighbour = Object.values(NEIGHBOUR6).map((type) => icmp(6, type));

const state = (states: string): string => `-m conntrack --ctstate ${states}`;

/** `claimed`: veths of NICs that are served; `holdsNets`: whether prefixes are behind any. */
export function rawChains(
  family: Family,
  host: HostState,
  claimed: readonly InterfaceName[],
  holdsNets: boolean,
): [string, string[]][] {
  const owned = `-m set --match-set ${OWNED_SET[family]} src,src`;
  return [
    [
      'RW-ANTISPOOF',
      [
        // A sender that names the way has its packet forwarded behind the back of what was decided about it. iptables
        // can't tell one IPv4 option from another: none of them passes.
        ...(family === 4
          ? [`${owned} -m u32 --u32 "0x0>>0x18&0xf=0x6:0xf" -j DROP`]
          : // A router alert, before any rule about what is forwarded, hands it to programs here.
            ['ipv6-route', 'hop-by-hop'].map((header) => `${owned} -m ipv6header --header ${header} --soft -j DROP`)),
        `${owned} -j RETURN`,
        // A stranger on an uplink can't speak from a container's address. A prefix may hold networks that the kernel
        // reaches by a longer one, so it is asked.
        `! -i lo -m set --match-set ${HELD_SET[family]} src -j DROP`,
        ...(holdsNets ? [`-m set --match-set ${HELD_NET_SET[family]} src -m rpfilter --invert -j DROP`] : []),
        // A neighbour without an address, or by its link-local one; whose veth nobody claims is refused in RW-INPUT.
        ...(family === 4
          ? []
          : ['::/128', 'fe80::/10'].flatMap((source) => neighbour.map((match) => `-s ${source} ${match} -j RETURN`))),
        '-g RW-GUARD-FROM',
      ],
    ],
    ['RW-GUARD-FROM', guard(family, host, claimed, '-i')],
  ];
}

export function filterChains(family: Family, host: HostState, claimed: readonly InterfaceName[]): [string, string[]][] {
  const redirect = `${icmp(family, family === 4 ? NEVER4.redirect : NEVER6.redirect)} ${state('RELATED')} -j DROP`;
  return [
    ['RW-FORWARD-FROM', [`${state('ESTABLISHED')} -j RETURN`, redirect, '-g RW-FROM']],
    [
      'RW-FORWARD-TO',
      [
        `${state('RELATED,ESTABLISHED')} -j RETURN`,
        // No host's own packet is forwarded: in what follows, a source of this host's means this host.
        '-m addrtype --src-type LOCAL -g RW-GUARD-TO',
        '-g RW-TO',
      ],
    ],
    ['RW-INPUT', [`${state('ESTABLISHED')} -j RETURN`, redirect, '-g RW-FROM']],
    [
      'RW-OUTPUT',
      [
        `${state('RELATED,ESTABLISHED')} -j RETURN`,
        ...(family === 4 ? [] : neighbour.map((match) => `${match} -j RETURN`)),
        // What this host itself reports, among it our own rejects, which conntrack doesn't relate to their flow.
        ...never(family).map((match) => `${match} -j RETURN`),
        '-g RW-TO',
      ],
    ],
    ['RW-GUARD-FROM', guard(family, host, claimed, '-i')],
    ['RW-GUARD-TO', guard(family, host, claimed, '-o')],
    // What belongs to no flow that conntrack knows: unsolicited errors, and TCP from the middle of a connection.
    [
      'RW-ORPHANS',
      [...never(family).map((match) => `${match} -j DROP`), '-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP'],
    ],
    [
      'RW-NEVER',
      [
        '-j RW-ORPHANS',
        `-p udp -m udp --sport ${family === 4 ? '67 --dport 68' : '547 --dport 546'} -j DROP`,
        // What listens there listens for the host alone, whatever `route_localnet` says.
        ...(family === 4 ? ['-m conntrack --ctorigdst 127.0.0.0/8 -j DROP'] : []),
      ],
    ],
    ...(['E', 'I'] as const).flatMap((direction): [string, string[]][] => [
      [`RW-${direction}-OBSERVE`, ['-j RETURN']],
      [`RW-${direction}-DROP`, ['-j DROP']],
      [
        `RW-${direction}-REJECT`,
        [
          '-p tcp -j REJECT --reject-with tcp-reset',
          `-j REJECT --reject-with ${family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'}`,
        ],
      ],
    ]),
  ];
}

/**
 * Where a neighbour speaks to: this host, or all on the link. None of these is forwarded. Link-local ones by their prefix,
 * since addrtype looks them up without their interface and finds no local one.
 */
export const ON_LINK = ['-d fe80::/10', '-d ff00::/8', '-m addrtype --dst-type LOCAL'];

export const solicit = icmp(6, NEIGHBOUR6.solicit);
/** What a neighbour says but for solicitations. */
export const neighbourWords = neighbour.filter((match) => match !== solicit);

/** What nobody claims gets nothing; uplinks that the administrator names are never guarded. */
function guard(family: Family, host: HostState, claimed: readonly InterfaceName[], option: '-i' | '-o'): string[] {
  const { names, patterns } = guarded(host, claimed);
  return [
    ...host.uplinks.filter(isNameable).map((uplink) => `${option} ${uplink} -j RETURN`),
    ...patterns.map((pattern) => `${option} ${pattern} -j DROP`),
    ...names
      .filter((name) => !isWildcard(name))
      .map((name) => `${option} ${isNameable(name) ? name : `"${name}"`} -j DROP`),
    ...(names.some(isWildcard)
      ? [`-m set --match-set ${SHUT_SET[family]} ${option === '-i' ? 'src,src' : 'dst,dst'} -j DROP`]
      : []),
  ];
}

/** Interfaces that get nothing, and the beginnings of such, as iptables writes them (`veth+`). */
export function guarded(
  host: HostState,
  claimed: readonly InterfaceName[],
): { readonly names: readonly InterfaceName[]; readonly patterns: readonly string[] } {
  const all = [...host.guardedNames, ...claimed].filter((name) => !host.uplinks.includes(name));
  const { guardPatterns } = host;
  return {
    names: [...new Set(all)].filter((name) => !matchesAny(name, guardPatterns)).sort(),
    patterns: guardPatterns.map((pattern) => pattern.replace(/\*$/, '+')),
  };
}
