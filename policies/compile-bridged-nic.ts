/** What a NIC on a bridge needs from the kernel, beside its rules: forwarding, and a route where the bridge has none. */
import { contains, type Family, familyOf, networkOf, type Prefix, rangeOf } from '../render/address.ts';
import type { NicState, Sysctl } from '../render/desired.ts';
import type { Mac } from '../render/mac.ts';
import type { InterfaceName } from '../render/names.ts';
import type { PolicyChain, Rule } from '../render/rule.ts';
import type { Attachment } from './endpoint.ts';
import { fragmentSysctls } from './fragment-sysctls.ts';
import { type HostNetwork, linkPrefixes } from './host-network.ts';

export type BridgedInput = Pick<NicState, 'container' | 'nic' | 'hostVeth' | 'egress' | 'ingress'> & {
  readonly prefixes: readonly Prefix[];
};

export function compileBridgedNic(
  { container, nic, hostVeth, egress, ingress, prefixes }: BridgedInput,
  { bridge, isLeased }: Attachment,
  mac: Mac,
  host: HostNetwork,
): NicState {
  const onLink = linkPrefixes(host, bridge).map(rangeOf);
  const isReached = (prefix: Prefix): boolean => onLink.some((range) => contains(range, networkOf(prefix)));
  return {
    container,
    nic,
    hostVeth,
    owned: prefixes,
    egress,
    ingress,
    routes: prefixes.filter((prefix) => !isReached(prefix)).map((prefix) => ({ prefix, dev: bridge })),
    gateways: [],
    proxies: [],
    sysctls: forwarding(new Set(prefixes.map(familyOf)), bridge, host),
    port: { bridge, mac, isLeased, isApart: !mayMeetContainers(egress) && !mayMeetContainers(ingress) },
  };
}

/** All that a container on a bridge sends to another, the host forwards, too: out of the interface that it came in by. */
function forwarding(families: ReadonlySet<Family>, bridge: InterfaceName, { uplinks }: HostNetwork): Sysctl[] {
  const devices = [...new Set([bridge, ...uplinks])];
  const reason = 'forwards what bridged containers send and get';
  return [
    ...(families.has(4) ? devices.map((dev) => ({ key: `net/ipv4/conf/${dev}/forwarding`, value: '1', reason })) : []),
    ...(families.has(6)
      ? [
          ...devices.map((dev) => ({
            key: `net/ipv6/conf/${dev}/accept_ra`,
            value: '2',
            replaces: '1',
            reason: "keeps the host's own IPv6 default route while it forwards",
          })),
          { key: 'net/ipv6/conf/all/forwarding', value: '1', reason: 'IPv6 forwards on all interfaces or on none' },
        ]
      : []),
    ...fragmentSysctls(families),
  ];
}

/**
 * Whether the chain may allow anything with another container. Rather yes than no: neighbours who may meet can ask for
 * each other's hardware addresses, and what they send is judged by the chains all the same.
 */
function mayMeetContainers({ rules, default: { verdict }, observe }: PolicyChain): boolean {
  if (verdict === 'allow' || observe !== undefined) return true;
  return rules.some(({ action, peer }) => action === 'allow' && MEETS[peer.kind]);
}

const MEETS: Readonly<Record<Rule['peer']['kind'], boolean>> = {
  any: true,
  lan: true,
  ranges: true,
  dns: true,
  host: false,
  internet: false,
};
