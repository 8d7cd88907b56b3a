// Generated from the JSON Schema beside it by `npm run generate`; do not edit.

/**
 * The folders that hold containers, as in lxc.lxcpath. Default: /var/lib/lxc.
 *
 * @minItems 1
 */
export type LxcPaths = [string, ...string[]];
/**
 * The interfaces towards the outside. `auto` (the default): those that hold a default route or an on-link prefix and belong to no container.
 *
 * @minItems 1
 */
export type Uplinks = string | [string, ...string[]];
/**
 * Interfaces that get nothing unless a container claims them: names, or beginnings followed by `*`. Default: veth*. On bridges that have a container of ours, ports of that name too.
 */
export type Guard = string[];
/**
 * What a container gets that has neither a policy file nor containers/_default.yaml: `closed` (the default) is nothing, `open` is everything.
 */
export type WithoutPolicy = 'closed' | 'open';
/**
 * Whether a container that has a network which no policy can be enforced on (macvlan, ipvlan, vlan, phys, an Open vSwitch bridge, or the host's own by `lxc.net.N.type = none`) is an error, and refused by LXC's hook. A policy file may say otherwise for its container. Default: false, which is a warning.
 */
export type StrictForAll = boolean;
/**
 * Whether the neighbours on an uplink's link are asked (ARP and neighbour discovery, 100 ms) before they are told that an address is a container's. One that somebody else answers for is an error, and no container gets it. `false`: every address is claimed at once; also where a router answers for all addresses (proxy ARP). Default: true.
 */
export type Probe = boolean;
/**
 * The file in which the DHCP server of a bridge writes down its leases, in dnsmasq's format; BRIDGE stands for the bridge's name. A container on the bridge without a static IPv4 address owns what is leased to its hardware address, and until then reaches nothing but that server. Default: /var/lib/misc/dnsmasq.BRIDGE.leases, as lxc-net has it.
 */
export type Leases = string;
/**
 * Whether a policy file that is saved comes into force at once. `false`: edits wait for `routewall apply`, and `routewall status` and `routewall preview` show them. This file is followed in either case. Default: true.
 */
export type AutoApply = boolean;
/**
 * An NFLOG group from 0 to 65535 (default 5), or `kernel` for the kernel's log.
 */
export type LogGroup = number | string;
/**
 * How much each container may log: a number per second, minute, hour or day. Default: 10/second.
 */
export type LogRate = string;
/**
 * How many connections it may have opened at the same time. Default: 8192.
 */
export type MostConnections = number;
/**
 * How many it may open: a number per second, minute, hour or day. Twice as many at once. Default: 1000/second.
 */
export type ConnectionRate = string;
/**
 * How many fragments of packets it may send, which the host keeps until a packet is whole: a number per second, minute, hour or day. As many at once. Default: 2000/second.
 */
export type FragmentRate = string;
/**
 * A file that node_exporter's textfile collector reads; its name ends in .prom. `none` for no file. Default: /var/lib/prometheus/node-exporter/routewall.prom, where its folder exists.
 */
export type MetricsTextfile = string;
/**
 * Answers GET /metrics over HTTP: the path of a unix socket, or a loopback address with a port. Default: nowhere.
 */
export type MetricsListen = string;
/**
 * Who is asked: addresses, with a port where it isn't 53. Default: the servers of /etc/resolv.conf.
 *
 * @minItems 1
 */
export type DnsServers = [string, ...string[]];
/**
 * Addresses and prefixes in which answers count though they are not of the internet: private ones, those of the uplinks' own networks and of containers here. Any other answer of that kind is ignored and reported, so that whoever controls a name can't open the way to them. Addresses of this host, loopback, link-local and multicast ones never count. Default: none.
 */
export type DnsAccept = string[];
/**
 * Seconds for which a name's addresses stay while no server answers, if their TTL isn't longer. Default: 21600, six hours.
 */
export type DnsKeep = number;
/**
 * Seconds for which an address stays though newer answers don't hold it, if its TTL isn't longer: names with many addresses tell some at a time, and connections to the others are not to be cut for that. 0: as long as its TTL. Default: 3600, an hour.
 */
export type DnsHold = number;
/**
 * `container:NAME/NIC`: a NIC of a container, by its name inside the container or by its index; a veth without a link. `interface:NAME`: an interface of this host that serves nothing else: it has no addresses, is no uplink and in no bridge, and is made to take in all frames (promiscuous).
 */
export type WireEnd = string;
/**
 * Pairs of ends that are joined as by a cable: every frame that comes in at one goes out at the other, whatever it is (LACP, STP and LLDP too, which a bridge keeps for itself; VLAN tags, jumbo frames). No policy applies to what passes. A wire is up while both its ends exist; until then, and from then on, nothing passes.
 */
export type Wires = Wire[];
/**
 * Seconds between two complete comparisons with the kernel, besides those that events trigger. Default: 60.
 */
export type Resync = number;
/**
 * What enforces the policies. `auto` (the default): nftables, or the old iptables where the kernel has no nf_tables. `iptables`: the variant that the host's own iptables is, with ipset and arptables; what else of routewall doesn't know it yet is in /usr/share/doc/routewall/iptables.md.
 */
export type Backend = 'auto' | 'nftables' | 'iptables';

/**
 * routewall.yaml: what routewall is told about this host. Every key is optional.
 */
export interface Config {
  lxcPaths?: LxcPaths;
  uplinks?: Uplinks;
  guard?: Guard;
  withoutPolicy?: WithoutPolicy;
  strict?: StrictForAll;
  probe?: Probe;
  leases?: Leases;
  autoApply?: AutoApply;
  log?: LogSettings;
  connections?: Connections;
  metrics?: Metrics;
  dns?: DnsSettings;
  wires?: Wires;
  resync?: Resync;
  backend?: Backend;
}
/**
 * Where rules with `log` write to.
 */
export interface LogSettings {
  group?: LogGroup;
  rate?: LogRate;
}
/**
 * How much of the host's connection table, and of its room for fragments, one interface of a container may take; what it opens or sends beyond that is dropped, and what is open stays.
 */
export interface Connections {
  most?: MostConnections;
  rate?: ConnectionRate;
  fragments?: FragmentRate;
}
/**
 * Where metrics for Prometheus are offered. Without this key: as a textfile, where the folder of node_exporter exists.
 */
export interface Metrics {
  textfile?: MetricsTextfile;
  listen?: MetricsListen;
}
/**
 * How the names of `dns:` peers are resolved. The packaged service has no internet sockets: `systemctl edit routewall`, and there below `[Service]` the lines `RestrictAddressFamilies=AF_INET AF_INET6` and `IPAddressAllow=any`.
 */
export interface DnsSettings {
  servers?: DnsServers;
  accept?: DnsAccept;
  keep?: DnsKeep;
  hold?: DnsHold;
}
/**
 * Two ends, in any order.
 */
export interface Wire {
  a: WireEnd;
  b: WireEnd;
}
