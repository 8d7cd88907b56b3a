/** The containers of this host and their routed and bridged NICs, as far as policies need to know them. */
import type { Address, Family, Prefix } from '../render/address.ts';
import type { Mac } from '../render/mac.ts';
import type { InterfaceName } from '../render/names.ts';
import type { Problem } from './problem.ts';

/** What the container sends its first packet to. */
export type Gateway =
  | { readonly kind: 'address'; readonly address: Address }
  /** A default route by device: the container asks ARP for every destination. */
  | { readonly kind: 'device'; readonly family: Family }
  /** The first address of that interface on the host. */
  | { readonly kind: 'link'; readonly family: Family; readonly link: string };

/** Of a NIC that hangs on a bridge. */
export interface Attachment {
  readonly bridge: InterfaceName;
  /** The one that the configuration fixes, or that the NIC was found with; `undefined`: not known, so that nothing passes. */
  readonly mac: Mac | undefined;
  /** Where `mac` isn't fixed: LXC's template of it, or empty. */
  readonly hwaddr?: string;
  /** It has no static IPv4 address: what it has is leased to it by DHCP. */
  readonly isLeased: boolean;
}

/** One routed or bridged NIC, as configured; whether its container runs is said elsewhere. */
export interface Endpoint {
  /** `LXCPATH/CONTAINER/INDEX` */
  readonly key: string;
  readonly index: number;
  /** The NIC's name inside the container, or its index where the configuration names none. */
  readonly nic: string;
  /** Of a bridged NIC without static ones: what is leased to it now. */
  readonly addresses: readonly Address[];
  /** Prefixes routed to the container behind its addresses; a policy's `routes` join them. */
  readonly routes: readonly Prefix[];
  readonly gateways: readonly Gateway[];
  /** The host-side name that the configuration fixes (`veth.pair`). */
  readonly fixedVeth: InterfaceName | undefined;
  /** The interface on which LXC itself adds neighbour proxies (`l2proxy = 1`). */
  readonly proxiedByLxcOn: InterfaceName | undefined;
  /** Where the configuration gives an address or routed prefix. */
  readonly places: ReadonlyMap<Prefix, Place>;
  /** Absent of a routed NIC. */
  readonly attachment?: Attachment;
}

/** A network that no rule of this host stands before. */
export interface UnenforceableNic {
  /** As of an endpoint; `null`: it is about the container's whole network. */
  readonly nic: string | null;
  readonly kind: 'macvlan' | 'ipvlan' | 'vlan' | 'phys' | 'openvswitch' | 'host' | 'shared';
  /** The interface that it hangs on; of `shared`, whose network it is. */
  readonly link: string | undefined;
  readonly place: Place;
}

/** The end of a wire. */
export interface WiredNic {
  /** `LXCPATH/CONTAINER/INDEX` */
  readonly key: string;
  readonly index: number;
  /** As of an endpoint. */
  readonly nic: string;
  readonly fixedVeth: InterfaceName | undefined;
}

/** `line` counts from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface Container {
  /** `LXCPATH/CONTAINER` */
  readonly id: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly endpoints: readonly Endpoint[];
  /** Absent where there is none. */
  readonly unenforceable?: readonly UnenforceableNic[];
  /** Where it says that there is no network at all, or an empty one, with nothing but a loopback interface. Absent otherwise. */
  readonly unconnected?: Place;
  /** Whether a hook of LXC's asks routewall before it starts; told only of those with a network that no rule stands before. */
  readonly asksAtStart?: boolean;
  /** Ends of wires: no endpoints, since no policy applies to them. Absent where there are none. */
  readonly wired?: readonly WiredNic[];
  /** What a wire names and can't take, and why. */
  readonly unwired?: readonly { readonly nic: string; readonly index: number; readonly why: string }[];
  /** Its configuration file, for problems. */
  readonly file: string;
  /** What is wrong with its configuration. */
  readonly problems: readonly Problem[];
}
