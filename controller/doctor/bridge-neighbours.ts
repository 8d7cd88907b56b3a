/**
 * Other programs' rules between neighbours on a bridge. Where br_netfilter is on, what a bridge forwards meets the IP rules
 * of other programs too: of containers that is neighbour discovery alone, since the host routes all else of theirs.
 */
import type { NicState } from '../../render/desired.ts';
import type { Finding } from './finding.ts';
import { type ForeignChain, nameChain } from './foreign-ruleset.ts';
import { type ForeignDrop, judgePacket } from './judge-packet.ts';

/** Below /proc/sys; there while the kernel has br_netfilter. */
export const BRIDGE_KEYS = ['iptables', 'ip6tables', 'arptables'].map((name) => `net/bridge/bridge-nf-call-${name}`);
export const ASKED_ABOUT_IPV6 = 'net/bridge/bridge-nf-call-ip6tables';

export const MEND_IPV6 = 'sysctl -w net.bridge.bridge-nf-call-ip6tables=0';

/** Only where `ASKED_ABOUT_IPV6` is on. */
export const dropsOfDiscovery = (chains: readonly ForeignChain[], bridge: string): ForeignDrop[] =>
  judgePacket(chains, 'forward', { family: 6, iifname: bridge, oifname: bridge, protocol: 'ipv6-icmp' });

/** None where no container hangs on a bridge beside others that it may meet. */
export function examineBridges(
  nics: Iterable<NicState>,
  chains: readonly ForeignChain[],
  sysctl: (key: string) => string | undefined,
): Finding[] {
  const set = BRIDGE_KEYS.filter((key) => sysctl(key) === '1');
  if (set.length === 0) return [];
  return [...neighbours(nics)].flatMap(([bridge, containers]) => {
    const who = `${containers.join(', ')} on ${bridge}`;
    const drops = set.includes(ASKED_ABOUT_IPV6) ? dropsOfDiscovery(chains, bridge) : [];
    if (drops.length > 0) return drops.map((drop) => dropped(who, drop));
    const names = set.map((key) => key.replace('net/bridge/', ''));
    return [
      finding(
        'note',
        `br_netfilter has other programs' rules asked about ARP and neighbour discovery of ${who} (${names.join(', ')}); none of them drops it now`,
        `sysctl -w ${names.map((name) => `net.bridge.${name}=0`).join(' ')}`,
      ),
    ];
  });
}

const dropped = (who: string, { chain, sure, by }: ForeignDrop): Finding =>
  finding(
    sure ? 'error' : 'warning',
    `${nameChain(chain)} ${sure ? 'drops' : 'may drop'} the neighbour discovery of ${who}, which br_netfilter sends there: by ${by}; they don't find each other by IPv6`,
    MEND_IPV6,
  );

const finding = (severity: Finding['severity'], message: string, mend: string): Finding => ({
  ...{ severity, container: null, message, mend },
});

/** By bridge, the containers that may meet others there. */
function neighbours(nics: Iterable<NicState>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { port, container } of nics)
    if (port !== undefined && !port.isApart) found.set(port.bridge, [...(found.get(port.bridge) ?? []), container]);
  return found;
}
