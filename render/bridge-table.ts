/** The bridge table: what a container's port may send, and what it may get, whatever goes on behind the other ports. */
import { type Address, addressNumber, type Family, familyOf, isHostPrefix, networkOf } from './address.ts';
import { constants, guard, guardedSet, names } from './base.ts';
import type { BridgedNic } from './bridged.ts';
import type { HostBridges, HostState, NicState } from './desired.ts';
import { linkLocalOf } from './mac.ts';
import type { InterfaceName } from './names.ts';
import type { NftChain, NftSet, NftTable } from './ruleset.ts';

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
/** Multicast listeners, a question for routers, and neighbour discovery; what of it has no address yet; and what routers say. */
const NEIGHBOUR6 = [131, 132, 133, 135, 136, 143];
const UNADDRESSED6 = [131, 132, 135, 143];
const ROUTERS6 = [134, 137];
/** Neighbour solicitation and advertisement; the target stands 8 bytes into the message. */
const NS = 'icmpv6 type 135';
const NA = 'icmpv6 type 136';
const TARGET = '@th,64,128';
/** 28 bytes into the BOOTP message that follows the UDP header: whose lease it is about. */
const CHADDR = '@th,288,48';
const DHCP = {
  question4: 'udp sport 68 udp dport 67',
  answer4: 'udp sport 67 udp dport 68',
  question6: 'udp sport 546 udp dport 547',
  answer6: 'udp sport 547 udp dport 546',
};

export function bridgeTable(host: HostState, bridges: HostBridges, nics: readonly BridgedNic[]): NftTable {
  return { sets: new Map(sets(host, bridges, nics)), chains: new Map(chains(host)) };
}

function sets(host: HostState, bridges: HostBridges, nics: readonly BridgedNic[]): [string, NftSet][] {
  const macs = new Map(bridges.bridges.map(({ name, mac }) => [name, mac]));
  const bridgeMac = ({ port }: BridgedNic): string[] => [macs.get(port.bridge) ?? []].flat();
  const ports = (list: readonly BridgedNic[]): NftSet => names(list.map(({ hostVeth }) => hostVeth));
  const addressed = (family: Family, element: (nic: BridgedNic, address: Address) => string) =>
    nics.flatMap((nic) => addressesOf(nic, family).map((address) => element(nic, address)));
  return [
    ['neighbour6', constants('icmpv6_type', NEIGHBOUR6)],
    ['unaddressed6', constants('icmpv6_type', UNADDRESSED6)],
    ['routers6', constants('icmpv6_type', ROUTERS6)],
    ['elsewhere', names(bridges.elsewhere)],
    ['guarded', guardedSet(host)],
    ['ports', ports(nics)],
    ['leased', ports(nics.filter(({ port }) => port.isLeased))],
    ['apart', ports(nics.filter(({ port }) => port.isApart))],
    [
      'macs',
      set(
        'ether saddr',
        nics.map(({ port }) => port.mac),
      ),
    ],
    [
      'port_mac',
      set(
        'iifname . ether saddr',
        nics.map((nic) => pair(nic, nic.port.mac)),
      ),
    ],
    [
      'port_client',
      set(
        `iifname . ${CHADDR}`,
        nics.map((nic) => pair(nic, hex(nic.port.mac.replaceAll(':', '')))),
      ),
    ],
    [
      'port_arp',
      set(
        'iifname . arp saddr ether . arp saddr ip',
        addressed(4, (nic, address) => pair(nic, `${nic.port.mac} . ${address}`)),
      ),
    ],
    ['owned4', set('iifname . ip saddr', addressed(4, pair))],
    ['owned6', set('iifname . ip6 saddr', addressed(6, pair))],
    [
      'link_local6',
      set(
        'iifname . ip6 saddr',
        nics.map((nic) => pair(nic, linkLocalOf(nic.port.mac))),
      ),
    ],
    [
      'targets',
      set(`iifname . ${TARGET}`, [
        ...addressed(6, (nic, address) => pair(nic, hexOf(address))),
        ...nics.map((nic) => pair(nic, hexOf(linkLocalOf(nic.port.mac)))),
      ]),
    ],
    [
      'addresses4',
      set(
        'ip saddr',
        addressed(4, (_, address) => address),
      ),
    ],
    [
      'addresses6',
      set(
        'ip6 saddr',
        addressed(6, (_, address) => address),
      ),
    ],
    [
      'claimed_targets',
      set(
        TARGET,
        addressed(6, (_, address) => hexOf(address)),
      ),
    ],
    [
      'bridge_of_port',
      map(
        'iifname : ether daddr',
        nics.flatMap((nic) => bridgeMac(nic).map((mac) => [`"${nic.hostVeth}"`, mac])),
      ),
    ],
    [
      'bridge_of_mac',
      map(
        'ether daddr : ether daddr',
        nics.flatMap((nic) => bridgeMac(nic).map((mac) => [nic.port.mac, mac])),
      ),
    ],
  ];
}

function chains(host: HostState): [string, NftChain][] {
  return [
    [
      'prerouting',
      {
        hook: HOOKS.prerouting,
        rules: ['iifname @elsewhere accept', 'iifname @ports goto port', ...guard('iifname', host), 'goto stranger'],
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
        // The server believes what the message says, not whose frame it came in.
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
        'ip6 saddr :: icmpv6 type @unaddressed6 accept',
        'icmpv6 type @routers6 drop',
        'udp sport 547 drop',
        `${NA} iifname . ${TARGET} != @targets drop`,
        'icmpv6 type @neighbour6 iifname . ip6 saddr @owned6 accept',
        'icmpv6 type @neighbour6 iifname . ip6 saddr @link_local6 accept',
        `${DHCP.question6} iifname @leased iifname . ip6 saddr @link_local6 accept`,
        'iifname . ip6 saddr @owned6 goto to_host',
        'drop',
      ),
    ],
    [
      'to_host',
      rules(
        `${IS_UNICAST} ether daddr set iifname map @bridge_of_port ${TO_HOST}`,
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
          'iifname @elsewhere accept',
          'iifname @ports goto between',
          'oifname @ports goto between',
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
        rules: ['oifname @elsewhere accept', 'oifname @ports goto from_host', ...guard('oifname', host)],
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

/** Host addresses; prefixes behind a container belong routed. */
const addressesOf = ({ owned }: NicState, family: Family): Address[] =>
  owned.filter((prefix) => familyOf(prefix) === family && isHostPrefix(prefix)).map(networkOf);

const pair = ({ hostVeth }: { readonly hostVeth: InterfaceName }, value: string): string => `"${hostVeth}" . ${value}`;

/** As nft prints an integer: without leading zeros. */
const hex = (digits: string): string => `0x${digits.replace(/^0+(?=.)/, '')}`;
const hexOf = (address: Address): string => hex(addressNumber(address).toString(16).padStart(32, '0'));

const set = (type: string, elements: readonly string[]): NftSet => ({
  kind: 'set',
  spec: `typeof ${type};`,
  dynamic: false,
  elements: new Map([...elements].sort().map((key) => [key, ''])),
});

const map = (type: string, elements: readonly (readonly [string, string])[]): NftSet => ({
  kind: 'map',
  spec: `typeof ${type};`,
  dynamic: false,
  elements: new Map(elements),
});
