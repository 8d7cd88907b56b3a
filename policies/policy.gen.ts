// Generated from the JSON Schema beside it by `npm run generate`; do not edit.

/**
 * Profiles (profiles/NAME.yaml) whose rules come after this file's own, in this order. Where this file states no `default` or `log` of a direction, the first profile that does decides.
 */
export type Use = string | string[];
/**
 * `observe` lets pass what this policy refuses, in the direction that is named or in both, and records it for `routewall learn`; it needs `until`. What no policy can allow stays refused, and so do addresses that aren't the container's. `enforce` is what holds without it.
 */
export type Mode = 'enforce' | 'observe' | 'observe-egress' | 'observe-ingress';
/**
 * Beside `mode: observe`: when observing ends by itself, at most 31 days from now (a week is a good time); from then on the policy is enforced, and the connections that it doesn't allow are cut. A date and a time with an offset from UTC (RFC 3339). The kernel ends it on time also while the daemon doesn't run.
 */
export type ObserveUntil = string;
/**
 * Further prefixes that are routed to the container, besides its own addresses.
 */
export type Routes = string | string[];
/**
 * Further routing tables that get the container's routes besides `main`, by number: a VRF's, or one that BIRD or FRR publishes. Not `local`, `main` and `default` (255, 254, 253), and not 11900 to 11999, which are routewall's own.
 */
export type Tables = number[];
/**
 * The interface by which the container's traffic leaves the host, whatever the host's own default route is. What is nearer than a default route (the links of the host, other containers, static routes) is reached as always; replies leave by the uplink that the flow came in by; neighbours are answered on this uplink only. While it is missing or down, nothing goes out.
 */
export type Uplink = string;
/**
 * Beside `uplink`: the router behind it, at most one of each family. Default: the next hop of that interface's own default route, in whatever table it stands.
 *
 * @minItems 1
 */
export type UplinkGateway = string | [string, ...string[]];
/**
 * For containers with private addresses: what they send out of an uplink leaves with an address of this host, and the answers find their way back. `true`: with the address of the uplink, both families; `ipv4` or `ipv6`: that family alone; an address: with that one, its family alone; a list: one of each family. Towards this host and between containers nothing is translated, and policies always see the container's own address. Where neither this file nor a profile says so, nothing is masqueraded; `false` outvotes a profile.
 *
 * @minItems 1
 * @maxItems 2
 */
export type Masquerade = boolean | string | [string] | [string, string];
/**
 * The port of this host, or a range first-last of at most 1024.
 */
export type PublishedPort = number | string;
/**
 * The container's own port, or as long a range; the same as the published one where it isn't given. Of a range the first port is enough.
 */
export type PublishedTo = number | string;
/**
 * The address of this host to publish on, or a list of them; every address of the host on its uplinks, of both families, where it isn't given. Loopback addresses can't be published on.
 *
 * @minItems 1
 */
export type PublishedOn = string | [string, ...string[]];
/**
 * A note for people; it has no effect.
 */
export type Comment = string;
/**
 * `false` switches it off without removing it.
 */
export type PublishedEnabled = boolean;
/**
 * Ports of this host that lead to the container: from outside, from other containers, from the container itself and from the host. It opens nothing: the container's `ingress` decides, with the client's own address and the container's own port, and so does the `egress` of a container that is the client. Of two containers that publish the same port, the one that has it keeps it.
 */
export type Publish = Publication[];
/**
 * What happens to a packet that no rule matches: `drop` (the default) stays silent, `reject` answers with an error, `allow` lets it pass.
 */
export type DefaultVerdict = 'drop' | 'reject' | 'allow';
/**
 * Log what `default` decides about.
 */
export type DefaultLog = boolean;
/**
 * Services that pass.
 *
 * @minItems 1
 */
export type Allow = string | [Service, ...Service[]];
/**
 * `tcp/80`, `tcp/80,443`, `udp/5000-5010`, `sctp/36412`; `icmp` (both families, all but the error messages), `icmp/echo-request`, `icmp4/13`, `icmp6/echo-request`; `proto/47` (an IP protocol number); `any`; or a name from the catalogue (ssh, dns, https, ...) or from services.yaml.
 */
export type Service = string;
/**
 * Services that are dropped silently.
 *
 * @minItems 1
 */
export type Drop = string | [Service, ...Service[]];
/**
 * Services that are refused with an answer: a TCP reset, or an ICMP error.
 *
 * @minItems 1
 */
export type Reject = string | [Service, ...Service[]];
/**
 * Beside `allow`, `drop` or `reject`: `true` logs what the rule decides. Alone, with services: logs them and goes on to the next rule. A line begins with the container, the direction and the rule's place, such as `web egress web.yaml:12`. Where to, and how much each container may log, is `log` in routewall.yaml.
 *
 * @minItems 1
 */
export type Log = boolean | string | [Service, ...Service[]];
/**
 * The far end of the flow; one peer, or a list of them: `any`; `host` (any address of this host); `lan` (the on-link prefixes of the uplinks); `internet` (what is neither host, lan, a container here, nor a private, shared, link-local, loopback or multicast address, nor an IPv6 one by which a translator or 6to4 leads to such); `container:NAME`; `group:NAME` (LXC's lxc.group); `set:NAME` (sets/NAME.yaml or .txt); `dns:NAME` (the addresses that DNS tells for the name, followed as they change; not for `drop` and `reject`); an address, a prefix, or a range first-last. A peer that can't be resolved makes the file an error; a set that is empty matches nothing, and so does a name before its first answer.
 *
 * @minItems 1
 */
export type Peers = string | [Peer, ...Peer[]];
/**
 * One peer.
 */
export type Peer = string;
/**
 * A name for the rule, shown in explanations.
 */
export type RuleName = string;
/**
 * `false` switches the rule off without removing it.
 */
export type Enabled = boolean;
/**
 * Only beside `allow`: so many new flows pass, and what is beyond is dropped, whatever later rules say. `burst` is how many may come at once after a quiet time (5 where it isn't given). All services and peers of the rule count together, for this container alone; where `interfaces` gives the rule to one NIC, for that NIC. What belongs to a flow that passed isn't limited; a UDP packet counts as new until it is answered.
 */
export type Limit = string;
/**
 * When the rule ends by itself: a date and a time with an offset from UTC (RFC 3339). From then on it matches nothing, and the connections that only it allowed are cut. The kernel ends it on time also while the daemon doesn't run.
 */
export type Until = string;
/**
 * Rules in order: the first that matches decides.
 */
export type EgressRules = EgressRule[];
/**
 * Rules in order: the first that matches decides.
 */
export type IngressRules = IngressRule[];
/**
 * A rate as tc writes it, whatever the case: a number and `bit`, `kbit`, `mbit` or `gbit` for bits a second (1 kbit is 1000 bit), `kibit`, `mibit` or `gibit` for multiples of 1024; `bps`, `kbps`, `mbps`, `gbps` and `kibps`, `mibps`, `gibps` are bytes a second. From 8kbit to 100gbit; Ethernet headers count.
 */
export type BitRate = string;
/**
 * `true`: the container doesn't start (with LXC's hook in its configuration) while it has a network that no policy can be enforced on: macvlan, ipvlan, vlan and phys interfaces, an Open vSwitch bridge, or the host's own network (`lxc.net.N.type = none`). Such a network is an error then, else a warning. Takes the place of `strict` in routewall.yaml, which is for all containers; a container's own file takes the place of a profile's.
 */
export type Strict = boolean;
/**
 * All of these have to pass. A rule with a `limit` lets them pass. A `dns:` name stands for whatever addresses it may come to have: it needs a rule for that name, for `internet` or for `any`.
 *
 * @minItems 1
 */
export type ExpectAllow = string | [Service, ...Service[]];
/**
 * None of these may pass, be they dropped or rejected. Where a rule allows a `dns:` name, that name is taken for any address that it may come to have.
 *
 * @minItems 1
 */
export type ExpectDrop = string | [Service, ...Service[]];
/**
 * All of these have to be refused with an answer.
 *
 * @minItems 1
 */
export type ExpectReject = string | [Service, ...Service[]];
/**
 * What must hold of this policy whatever its rules say, so that nobody opens or closes it by mistake. Checked by `check` and `preview`, and each time before the policy comes into force; where one is violated, the container keeps its last good policy, or stays shut if it never had one, and the complaint names a flow and the rule that decides about it. An expectation is about all flows that it names: every address, port and interface. It asks this policy's own rules alone, with those of its profiles: whether a container at the other end lets the flow pass too is said by that one's policy, and asked by `routewall check --expect-file`. Expectations in a profile are held by each policy that uses it; while a policy is observed, what it expects to be refused must be refused all the same, so that one of the two has to go.
 */
export type Expect = Expectation[];

/**
 * The policy of one container: what it may send (egress), what may reach it (ingress) and which further prefixes are routed to it. Traffic that no rule allows is dropped. Replies to allowed flows, and the ICMP errors about them, pass by themselves. Traffic between two containers needs the sender's egress and the receiver's ingress; the host needs the container's ingress.
 */
export interface Policy {
  use?: Use;
  mode?: Mode;
  until?: ObserveUntil;
  routes?: Routes;
  tables?: Tables;
  uplink?: Uplink;
  gateway?: UplinkGateway;
  masquerade?: Masquerade;
  publish?: Publish;
  egress?: Egress;
  ingress?: Ingress;
  limits?: Limits;
  interfaces?: Interfaces;
  strict?: Strict;
  expect?: Expect;
}
/**
 * One port, or a range of them: exactly one of `tcp`, `udp` and `sctp`.
 */
export interface Publication {
  tcp?: PublishedPort;
  udp?: PublishedPort;
  sctp?: PublishedPort;
  to?: PublishedTo;
  on?: PublishedOn;
  comment?: Comment;
  enabled?: PublishedEnabled;
}
/**
 * What the container may send. The first rule that matches decides, then `default`.
 */
export interface Egress {
  default?: DefaultVerdict;
  log?: DefaultLog;
  rules?: EgressRules;
}
/**
 * One rule of egress: exactly one of `allow`, `drop`, `reject` and `log` with services, and the peers in `to`.
 */
export interface EgressRule {
  allow?: Allow;
  drop?: Drop;
  reject?: Reject;
  log?: Log;
  to: Peers;
  name?: RuleName;
  comment?: Comment;
  enabled?: Enabled;
  limit?: Limit;
  until?: Until;
}
/**
 * What may reach the container. The first rule that matches decides, then `default`.
 */
export interface Ingress {
  default?: DefaultVerdict;
  log?: DefaultLog;
  rules?: IngressRules;
}
/**
 * One rule of ingress: exactly one of `allow`, `drop`, `reject` and `log` with services, and the peers in `from`.
 */
export interface IngressRule {
  allow?: Allow;
  drop?: Drop;
  reject?: Reject;
  log?: Log;
  from: Peers;
  name?: RuleName;
  comment?: Comment;
  enabled?: Enabled;
  limit?: Limit;
  until?: Until;
}
/**
 * How much of the network each NIC of the container may take, by tc on its host side: `egress` is what the container sends, `ingress` what it gets. Each NIC has the whole rate for itself; `interfaces` gives one NIC its own, direction by direction. What comes faster waits for up to 50 ms and is dropped then. A limit is no rule: where the kernel can't enforce it, or another program has put a queueing discipline of its own on the interface, the container runs without it, and `routewall status` says so.
 */
export interface Limits {
  egress?: BitRate;
  ingress?: BitRate;
}
/**
 * Gives one NIC its own rules, by its name inside the container or by its index. A direction that is given here replaces the container-wide one for this NIC, whole: with its default, and its rules. A direction that isn't given here stays the container-wide one.
 */
export interface Interfaces {
  [k: string]: Nic;
}
/**
 * The rules of one NIC.
 */
export interface Nic {
  uplink?: Uplink;
  gateway?: UplinkGateway;
  egress?: Egress;
  ingress?: Ingress;
  limits?: Limits;
}
/**
 * What must become of flows: exactly one of `allow`, `drop` and `reject` with services, and the far end in `to` (what the container sends) or `from` (what reaches it).
 */
export interface Expectation {
  allow?: ExpectAllow;
  drop?: ExpectDrop;
  reject?: ExpectReject;
  to?: Peers;
  from?: Peers;
  comment?: Comment;
}
