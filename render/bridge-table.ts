/** The bridge table: what a container's port may send, and what it may get, whatever goes on behind the other ports. */
import { IS_FRAGMENT4, IS_FRAGMENT6, NO_HEADERS } from './antispoof.ts';
import { overFragments } from './bounds.ts';
import { bridgeSets, CHADDR, TARGET } from './bridge-sets.ts';
import type { BridgedNic } from './bridged.ts';
import type { HostBridges, HostState } from './desired.ts';
import { guard } from './guard.ts';
import type { NftChain, NftTable } from './ruleset.ts';

/**
 * Before all else that looks at frames: ebtables, and br_netfilter's call of the IP hooks (0).
 *
 * No frame with an IP packet goes from one port to another where a container has part in it. It is readdressed to the
 * bridge itself, so that the host routes it, and the inet table asks the policies, with their connections, as it does for
 * routed containers. Neighbours still find each other by ARP and NDP; who hangs on the port says which address is whose.
 *
 * Only `elsewhere` tells our bridges from others: `meta ibrname` would too, where the kernel has it.
 */
const HOOKS = {
  prerouting: 'type filter hook prerouting priority -310; policy accept;',
  forward: 'type filter hook forward priority -310; policy accept;',
  output: 'type filter hook output priority -310; policy accept;',
};

const IS_UNICAST = 'ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00';
/** What the kernel took for a stranger's frame has to become the host's. */
const TO_HOST = 'meta pkttype set host accept';
/** Neighbour solicitation and advertisement. */
const NS = 'icmpv6 type 135';
const NA = 'icmpv6 type 136';
/**
 * 8 bytes into the DHCPv6 message that follows the UDP header: its first option, the client's identifier, made of a hardware
 * address without or with a time (RFC 8415, 11.2 and 11.4). The server takes the first that it finds.
 */
const DUIDS = [
  '@th,96,64 0x0001000a00030001 iifname . @th,160,48',
  '@th,96,64 0x0001000e00010001 iifname . @th,192,48',
];
const MESSAGE6 = '@th,64,8';
const DHCP = {
  question4: 'udp sport 68 udp dport 67',
  answer4: 'udp sport 67 udp dport 68',
  question6: 'udp sport 546 udp dport 547',
  answer6: 'udp sport 547 udp dport 546',
};

export function bridgeTable(host: HostState, bridges: HostBridges, nics: readonly BridgedNic[]): NftTable {
  return { sets: new Map(bridgeSets(host, bridges, nics)), chains: new Map(chains(host)) };
}

function chains(host: HostState): [string, NftChain][] {
  return [
    [
      'prerouting',
      {
        hook: HOOKS.prerouting,
        // A port that somebody moved to another bridge is a container's still.
        rules: ['iifname @ports goto port', 'iifname @elsewhere accept', ...guard('iifname', host), 'goto stranger'],
      },
    ],
    // A tag is no part of the frame any more when it was taken off on the way here.
    [
      'port',
      rules(
        'ether type 0x8100 drop',
        'ether type 0x88a8 drop',
        'iifname . ether saddr != @port_mac drop',
        'meta protocol arp goto sent_arp',
        'meta protocol ip goto sent_ip4',
        'meta protocol ip6 goto sent_ip6',
        'drop',
      ),
    ],
    [
      'sent_arp',
      rules(
        'arp htype 1 arp ptype 0x0800 arp hlen 6 arp plen 4 iifname . arp saddr ether . arp saddr ip @port_arp accept',
        'drop',
      ),
    ],
    [
      'sent_ip4',
      rules(
        `${IS_FRAGMENT4} jump fragment`,
        // The server goes by the hardware address in the message, not by that of the frame.
        `${DHCP.question4} iifname @leased iifname . ${CHADDR} @port_client ip saddr 0.0.0.0 accept`,
        `${DHCP.question4} iifname @leased iifname . ${CHADDR} @port_client iifname . ip saddr @owned4 goto to_host`,
        'udp dport 67 drop',
        'udp sport 67 drop',
        'iifname . ip saddr @owned4 goto to_host',
        'drop',
      ),
    ],
    [
      'sent_ip6',
      rules(
        `${IS_FRAGMENT6} jump fragment`,
        'ip6 saddr :: icmpv6 type @unaddressed6 accept',
        'icmpv6 type @routers6 drop',
        'udp sport 547 drop',
        `${NA} iifname . ${TARGET} != @targets drop`,
        // A neighbour that looks for a duplicate keeps the address from its owner, where that is doing the same.
        `${NS} ip6 saddr :: iifname . ${TARGET} @targets accept`,
        'icmpv6 type @neighbour6 iifname . ip6 saddr @owned6 accept',
        'icmpv6 type @neighbour6 iifname . ip6 saddr @link_local6 accept',
        `${DHCP.question6} iifname @leased iifname . ip6 saddr @link_local6 goto sent_dhcp6`,
        'udp dport 547 drop',
        'iifname . ip6 saddr @owned6 goto to_host',
        'drop',
      ),
    ],
    ['fragment', rules(...NO_HEADERS, ...overFragments(host).map((over) => `${over} drop`))],
    [
      'sent_dhcp6',
      rules(
        // A message that asks for no address may leave the client unnamed.
        `${MESSAGE6} 11 accept`,
        // What a relay hands on is about others.
        `${MESSAGE6} >= 12 drop`,
        ...DUIDS.map((duid) => `${duid} @port_client accept`),
        'drop',
      ),
    ],
    [
      'to_host',
      rules(
        `${IS_UNICAST} ether daddr set iifname map @bridge_of_port ${TO_HOST}`,
        // By these the bridge itself would learn that a router of multicast is there, and to ask no more.
        'meta l4proto 2 drop',
        'meta l4proto 103 drop',
        'icmpv6 type 130 drop',
        // Nobody but the host gets it, see `between`.
        'ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 accept',
        'drop',
      ),
    ],
    [
      'stranger',
      rules(
        'ether saddr @macs drop',
        'arp saddr ip @addresses4 drop',
        'ip saddr @addresses4 drop',
        'ip6 saddr @addresses6 drop',
        `${NA} ${TARGET} @claimed_targets drop`,
        'icmpv6 type @neighbour6 accept',
        'icmpv6 type @routers6 accept',
        `meta protocol ip ether daddr set ether daddr map @bridge_of_mac ${TO_HOST}`,
        `meta protocol ip6 ether daddr set ether daddr map @bridge_of_mac ${TO_HOST}`,
      ),
    ],
    [
      'forward',
      {
        hook: HOOKS.forward,
        rules: [
          'iifname @ports goto between',
          'oifname @ports goto between',
          'iifname @elsewhere accept',
          ...guard('oifname', host),
        ],
      },
    ],
    [
      'between',
      rules(
        'iifname @apart oifname @ports drop',
        'oifname @apart iifname @ports drop',
        'meta protocol arp accept',
        `${NS} accept`,
        `${NA} accept`,
        'icmpv6 type 134 iifname != @ports accept',
        'drop',
      ),
    ],
    [
      'output',
      {
        hook: HOOKS.output,
        rules: ['oifname @ports goto from_host', 'oifname @elsewhere accept', ...guard('oifname', host)],
      },
    ],
    [
      'from_host',
      rules(
        'meta protocol arp accept',
        'icmpv6 type @neighbour6 accept',
        'icmpv6 type 130 accept',
        'icmpv6 type 134 accept',
        `${DHCP.answer4} oifname @leased accept`,
        `${DHCP.answer6} oifname @leased accept`,
        'oifname . ip daddr @owned4 accept',
        'oifname . ip6 daddr @owned6 accept',
        'drop',
      ),
    ],
  ];
}

const rules = (...list: readonly string[]): NftChain => ({ hook: '', rules: list });
