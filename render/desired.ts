/** The desired state of one host: what the kernel shall hold. Pure data; everything in it is already validated. */
import type { Address, Prefix } from './address.ts';
import type { DnsAddresses } from './dns-name.ts';
import type { Mac } from './mac.ts';
import type { InterfaceName, InterfacePattern } from './names.ts';
import type { Origin, PolicyChain } from './rule.ts';
import type { NicNat } from './translation.ts';
import type { UplinkTable } from './uplink.ts';

/** A route of ours (`proto 119`) into a container. */
export interface Route {
  readonly prefix: Prefix;
  readonly dev: InterfaceName;
  /** The container's own address, for what lies behind it: on the veth itself nobody answers for those addresses. */
  readonly via?: Address;
  /** Besides main's, for a further table. */
  readonly table?: number;
}

/** A neighbour proxy of ours (`protocol 119`): `dev` answers ARP or NDP for the address. */
export interface NeighbourProxy {
  readonly address: Address;
  readonly dev: InterfaceName;
}

/** A gateway's address on a container's host-side veth (/32 or /128, scope link). */
export interface GatewayAddress {
  readonly address: Address;
  readonly dev: InterfaceName;
}

/** `key` as below /proc/sys/, with slashes, since interface names may hold dots: `net/ipv4/conf/veth0/forwarding`. */
export interface Sysctl {
  readonly key: string;
  readonly value: string;
  /** Where present, only this value is replaced: any other is the administrator's. */
  readonly replaces?: string;
  /** Why it is needed, for `status`. */
  readonly reason: string;
}

/** At most so many bits a second, each by the policy's line that says so. */
export interface Bandwidth {
  /** What the container sends. */
  readonly egress?: BandwidthLimit;
  /** What it gets. */
  readonly ingress?: BandwidthLimit;
}

export interface BandwidthLimit {
  /** Bits a second, a multiple of 8. */
  readonly rate: number;
  readonly origin: Origin;
}

/** Two interfaces of the host between which every frame is handed over. */
export interface Wire {
  /** For people: `container:r1/eth1 and interface:eth2`. */
  readonly name: string;
  readonly a: InterfaceName;
  readonly b: InterfaceName;
  /** Which of both is no veth of a container's, but an interface of the host. */
  readonly ofHost: readonly InterfaceName[];
}

/** Of a NIC on a bridge: `hostVeth` is a port of it, and packets come in by the bridge. */
export interface BridgePort {
  readonly bridge: InterfaceName;
  /** The only one that it may send from. */
  readonly mac: Mac;
  /** Gets its addresses by DHCP: may speak with the server on the host, whatever its policy says. */
  readonly isLeased: boolean;
  /** Its policy allows nothing with another container: no frame goes between it and another container's port. */
  readonly isApart: boolean;
}

/** Everything that one routed NIC of one running container needs. Replaced whole when anything of it changes. */
export interface NicState {
  readonly container: string;
  /** The NIC's name inside the container, or its index where it has none. */
  readonly nic: string;
  readonly hostVeth: InterfaceName;
  /** What it may send from. */
  readonly owned: readonly Prefix[];
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
  readonly routes: readonly Route[];
  readonly gateways: readonly GatewayAddress[];
  readonly proxies: readonly NeighbourProxy[];
  readonly sysctls: readonly Sysctl[];
  /** Absent where its policy asks for none. */
  readonly nat?: NicNat;
  readonly limits?: Bandwidth;
  /** By whose table it leaves the host, one of `uplinkTables`; absent: by the host's own default route. */
  readonly uplink?: Pick<UplinkTable, 'table' | 'dev'>;
  /** Absent of a routed NIC. */
  readonly port?: BridgePort;
}

/** What of the host's bridges concerns containers. */
export interface HostBridges {
  /** Those that configurations name; `mac` once it is known. */
  readonly bridges: readonly { readonly name: InterfaceName; readonly mac?: Mac }[];
  /** Ports of other bridges, which are nothing of ours. */
  readonly elsewhere: readonly InterfaceName[];
}

export interface HostState {
  /** Interfaces that get nothing unless a NIC claims them. */
  readonly guardPatterns: readonly InterfacePattern[];
  /** Host-side names that configurations give (`veth.pair`), guarded even where no pattern matches them. */
  readonly guardedNames: readonly InterfaceName[];
  /** Uplinks that the administrator named: never guarded, whatever their name. */
  readonly uplinks: readonly InterfaceName[];
  /** On-link prefixes of the uplinks, both families; may overlap. */
  readonly lan: readonly Prefix[];
  readonly log: { readonly group: number | 'kernel'; readonly rate: string };
  /**
   * For each interface of a container: how many connections of its own at once, how many new ones (`1000/second`), and how
   * many fragments of packets.
   */
  readonly connections: { readonly most: number; readonly rate: string; readonly fragments: string };
  /** Towards these, named or found, containers are masqueraded; absent where no policy asks for it. */
  readonly masqueradeUplinks?: readonly InterfaceName[];
  /** Of what runs, and of the other uplinks by which a flow to it may come in; absent where no container has an uplink. */
  readonly uplinkTables?: readonly UplinkTable[];
  /** Absent where no configuration names a bridge. */
  readonly bridges?: HostBridges;
}

/** `nics` is keyed by `LXCPATH/CONTAINER/INDEX`; equal values keep their identity between two states. */
export interface DesiredState {
  readonly host: HostState;
  readonly nics: ReadonlyMap<string, NicState>;
  /** Of all names that policies mean; keeps its identity while no name changes. */
  readonly dns: DnsAddresses;
  /** Those of which both ends exist; keeps its identity while none changes. */
  readonly wires?: readonly Wire[];
}
