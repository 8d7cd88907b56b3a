/** The bridge table's sets: which NIC hangs on which port, and which addresses are its own. */
import { type Address, addressNumber, type Family, familyOf, isHostPrefix, networkOf } from './address.ts';
import { fragmentSets } from './bounds.ts';
import type { BridgedNic } from './bridged.ts';
import { constants, names } from './constant-sets.ts';
import type { HostBridges, HostState, NicState } from './desired.ts';
import { guardedSet } from './guard.ts';
import { linkLocalOf } from './mac.ts';
import type { InterfaceName } from './names.ts';
import type { NftSet } from './ruleset.ts';

/** Multicast listeners, a question for routers, and neighbour discovery; what of it has no address yet; and what routers say. */
const NEIGHBOUR6 = [131, 132, 133, 135, 136, 143];
const UNADDRESSED6 = [131, 132, 143];
const ROUTERS6 = [134, 137];
/** What a message of neighbour discovery is about, 8 bytes into it. */
export const TARGET = '@th,64,128';
/** 28 bytes into the BOOTP message that follows the UDP header: the hardware address that the lease is for. */
export const CHADDR = '@th,288,48';

export function bridgeSets(host: HostState, bridges: HostBridges, nics: readonly BridgedNic[]): [string, NftSet][] {
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
    ...fragmentSets(host),
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
