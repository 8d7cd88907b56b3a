/** The way of a flow's first packet through every chain that render/ renders, without a kernel. */
import { isIcmpError, isRouterAdvertisement } from '../../policies/icmp-types.ts';
import { evaluateChain, type HostFacts, type Packet } from '../../policies/model.ts';
import { type Address, type AddressRange, contains, mergeRanges, type Prefix, rangeOf } from '../../render/address.ts';
import type { HostState, NicState } from '../../render/desired.ts';
import type { Direction, Origin, PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import { type FlowHost, isGuarded, isLinkLocal6, type Side } from './flow-sides.ts';

export interface FlowPacket extends Packet {
  readonly sourcePort?: number;
}

export interface Flow {
  readonly packet: FlowPacket;
  readonly from: Side;
  readonly to: Side;
}

/** The chain of a NIC: the one in force, or the same with the asked container's own places. */
export type ChainOf = (key: string, nic: NicState, direction: Direction) => PolicyChain;

/** What one chain said. `log` notes the packet and goes on. */
export interface TraceStep {
  readonly at: string;
  readonly verdict: Verdict | 'log';
  /** The rule of a policy that matched; `null` for its default and for everything that no policy decides. */
  readonly rule: Rule | null;
  /** Where the user said so. */
  readonly origin: Origin | null;
  readonly direction?: Direction;
  /** Where it passes only because the policy observes: what it would meet else. */
  readonly observed?: Verdict;
  /** What decided, where no user said so. */
  readonly note?: string;
}

/** Multicast listener reports and neighbour discovery, as the set `neighbour6` holds them. */
export const NEIGHBOUR6 = [131, 132, 135, 136, 143];

export const chainInForce: ChainOf = (_key, nic, direction) => nic[direction];

/** The last step decides. */
export function traceFlow(host: FlowHost, flow: Flow, chainOf: ChainOf = chainInForce): TraceStep[] {
  const steps: TraceStep[] = [];
  const pass = (more: readonly TraceStep[]): boolean => {
    steps.push(...more);
    return steps.at(-1)?.verdict !== 'drop' && steps.at(-1)?.verdict !== 'reject';
  };
  if (flow.from.kind === 'host') {
    pass(output(host, flow, chainOf));
  } else if (pass(prerouting(host, flow)) && pass(routing(flow)) && pass(betweenPorts(flow))) {
    if (flow.to.kind === 'host' || flow.to.kind === 'group') pass(input(host, flow, chainOf));
    else if (pass(egress(host, flow, chainOf))) pass(receive(host, flow, chainOf));
  }
  return steps.length > 0 ? steps : [decide('this host', 'allow', 'routewall has no rule about it')];
}

const decide = (at: string, verdict: Verdict, note: string): TraceStep => ({
  at,
  verdict,
  rule: null,
  origin: null,
  note,
});

/** Chain antispoof: before conntrack and routing. */
function prerouting(host: FlowHost, { packet, from }: Flow): TraceStep[] {
  if (from.kind === 'outside') return isGuarded(host, from.link) ? [guarded(from.link)] : [];
  if (from.kind !== 'nic') return [];
  const at = `anti-spoofing of ${from.nic.container}`;
  const { source } = packet;
  if (from.nic.owned.some((prefix) => contains(rangeOf(prefix), source))) {
    return [decide(at, 'allow', `${source} is its own`)];
  }
  if ((source === '::' || isLinkLocal6(source)) && isNeighbourTalk(packet)) {
    return [decide(at, 'allow', 'neighbour discovery from a link-local address')];
  }
  return [decide(at, 'drop', `${source} is not its own`)];
}

const guarded = (link: string | undefined): TraceStep =>
  decide('the guard', 'drop', `${link ?? 'the interface'} is guarded, and no container claims it`);

const isNeighbourTalk = ({ protocol, icmpType }: Packet): boolean =>
  protocol === 58 && icmpType !== undefined && NEIGHBOUR6.includes(icmpType);

/** What the kernel itself never passes on. */
function routing({ packet, to }: Flow): TraceStep[] {
  if (to.kind === 'nowhere') return [decide('routing', 'drop', to.why)];
  const leaves = to.kind === 'nic' || to.kind === 'outside';
  if (leaves && (isLinkLocal6(packet.source) || packet.source === '::')) {
    return [decide('routing', 'drop', `${packet.source} is never forwarded`)];
  }
  return [];
}

/** Neither ever learns the other's hardware address, so that not even a refusal is told. */
function betweenPorts({ from, to }: Flow): TraceStep[] {
  if (from.kind !== 'nic' || to.kind !== 'nic') return [];
  const [port, other] = [from.nic.port, to.nic.port];
  if (port === undefined || port.bridge !== other?.bridge || !(port.isApart || other.isApart)) return [];
  const { container } = port.isApart ? from.nic : to.nic;
  return [decide(`the bridge ${port.bridge}`, 'drop', `${container} may meet no container: its port is isolated`)];
}

function input(host: FlowHost, flow: Flow, chainOf: ChainOf): TraceStep[] {
  if (flow.from.kind !== 'nic') return [];
  if (isNeighbourTalk(flow.packet)) return [decide('this host', 'allow', 'neighbour discovery with the host')];
  return egress(host, flow, chainOf);
}

function output(host: FlowHost, flow: Flow, chainOf: ChainOf): TraceStep[] {
  const { packet, to } = flow;
  if (to.kind === 'nowhere') return [decide('routing', 'drop', to.why)];
  if (to.kind === 'nic') {
    if (isNeighbourTalk(packet)) return [decide('this host', 'allow', 'neighbour discovery by the host')];
    if (isNever(packet)) return [decide('this host', 'allow', 'what the host itself reports passes')];
  }
  return receive(host, flow, chainOf);
}

function egress(host: FlowHost, flow: Flow, chainOf: ChainOf): TraceStep[] {
  const { from, to, packet } = flow;
  if (from.kind !== 'nic') return [];
  const at = `egress of ${from.nic.container}`;
  const never = neverByIcmp(packet) ?? neverByDhcp(packet);
  if (never !== undefined) return [decide(at, 'drop', never)];
  const facts = factsOf(host, to);
  return walk(at, chainOf(from.key, from.nic, 'egress'), packet, facts);
}

/** Chain receive: the receiver is asked, and what nobody claims gets nothing. */
function receive(host: FlowHost, flow: Flow, chainOf: ChainOf): TraceStep[] {
  const { from, to, packet } = flow;
  if (to.kind === 'outside') return isGuarded(host, to.link) ? [guarded(to.link)] : [];
  if (to.kind !== 'nic') return [];
  const at = `ingress of ${to.nic.container}`;
  const never = neverByIcmp(packet);
  if (never !== undefined) return [decide(at, 'drop', never)];
  return walk(at, chainOf(to.key, to.nic, 'ingress'), packet, factsOf(host, from));
}

/** `peer`: the far end, whose kind is what the kernel looks at where a rule says host, internet or container. */
export function factsOf({ desired }: FlowHost, peer: Side): HostFacts {
  return {
    isHostAddress: () => peer.kind === 'host',
    isLan: (address) => isInLan(desired.host, address),
    isContainer: () => peer.kind === 'nic',
    isDnsAddress: (name, address) => desired.dns.get(name)?.includes(address) === true,
  };
}

function walk(at: string, chain: PolicyChain, packet: Packet, facts: HostFacts): TraceStep[] {
  return evaluateChain(chain, packet, facts).steps.map(({ rule, action, origin, observed }) => ({
    at,
    verdict: action,
    rule,
    origin,
    direction: chain.direction,
    ...(observed === undefined ? {} : { observed }),
  }));
}

function isNever({ family, protocol, icmpType }: Packet): boolean {
  if (icmpType === undefined || protocol !== (family === 4 ? 1 : 58)) return false;
  return isIcmpError(family, icmpType) || isRouterAdvertisement(family, icmpType);
}

const neverByIcmp = (packet: Packet): string | undefined =>
  isNever(packet) ? 'ICMP errors pass only with the flow that they are about, router messages never' : undefined;

function neverByDhcp({ protocol, sourcePort, port }: FlowPacket): string | undefined {
  const isReply = protocol === 17 && ((sourcePort === 67 && port === 68) || (sourcePort === 547 && port === 546));
  return isReply ? 'a container is no DHCP server' : undefined;
}

const lans = new WeakMap<readonly Prefix[], readonly AddressRange[]>();

function isInLan({ lan }: HostState, address: Address): boolean {
  const ranges = lans.get(lan) ?? mergeRanges(lan.map(rangeOf));
  lans.set(lan, ranges);
  return ranges.some((range) => contains(range, address));
}
