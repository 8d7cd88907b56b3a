/** Exactly what may be sent from one side to another in one family: every protocol, port and ICMP type. */
import { isIcmpError, isRouterAdvertisement } from '../../policies/icmp-types.ts';
import { type Packet, rangesContain } from '../../policies/model.ts';
import { type Address, addressNumber, type Family, familyOf } from '../../render/address.ts';
import type { PolicyChain, PortRange, ServiceMatch } from '../../render/rule.ts';
import type { FlowHost, Side } from '../explain/flow-sides.ts';
import { NEIGHBOUR6, traceFlow } from '../explain/trace-flow.ts';

/** `tcp`, `udp`, `sctp`: ports 1 to 65535; `icmp`: the family's own types; `protocol`: all other IP protocols. */
export type Axis = 'tcp' | 'udp' | 'sctp' | 'icmp' | 'protocol';

export const AXES: readonly Axis[] = ['tcp', 'udp', 'sctp', 'icmp', 'protocol'];

/** What is allowed on each axis: sorted, merged, all of the axis' own numbers. */
export type ServiceSet = Readonly<Record<Axis, readonly PortRange[]>>;

export interface End {
  readonly address: Address;
  readonly side: Side;
}

const PORTED: ReadonlyMap<Axis, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);

/** Asks the same model as `explain`, once between any two numbers at which a rule begins or ends. */
export function allowedServices(host: FlowHost, from: End, to: End, family: Family): ServiceSet {
  const rules = [...servicesAbout(chainOf(from, 'egress'), to), ...servicesAbout(chainOf(to, 'ingress'), from)];
  const isAllowed = (fields: Pick<Packet, 'protocol' | 'port' | 'icmpType'>): boolean => {
    const packet = { family, source: from.address, destination: to.address, ...fields };
    const last = traceFlow(host, { packet, from: from.side, to: to.side }).at(-1)?.verdict;
    return last === undefined || last === 'allow' || last === 'log';
  };
  const rangesOn = (axis: Axis): PortRange[] =>
    universe(axis, family).flatMap((whole) =>
      allowedWithin(whole, bordersOn(axis, family, rules), (number) => isAllowed(packetOn(axis, family, number))),
    );
  return {
    tcp: merge(rangesOn('tcp')),
    udp: merge(rangesOn('udp')),
    sctp: merge(rangesOn('sctp')),
    icmp: merge(rangesOn('icmp')),
    protocol: merge(rangesOn('protocol')),
  };
}

const chainOf = ({ side }: End, direction: 'egress' | 'ingress'): PolicyChain | undefined =>
  side.kind === 'nic' ? side.nic[direction] : undefined;

/** Of the rules that may match the peer; where that isn't plain they count, which costs time and changes nothing. */
function servicesAbout(chain: PolicyChain | undefined, { address }: End): ServiceMatch[] {
  const number = addressNumber(address);
  const family = familyOf(address);
  return (chain?.rules ?? []).flatMap(({ peer, service }) =>
    peer.kind === 'ranges' && (peer.family !== family || !rangesContain(peer.ranges, number)) ? [] : [service],
  );
}

const universes = new Map<string, readonly PortRange[]>();

/** All numbers of an axis that policies decide about, as ranges. */
export function universe(axis: Axis, family: Family): readonly PortRange[] {
  const known = universes.get(`${axis}${family}`);
  if (known !== undefined) return known;
  const made = PORTED.has(axis) ? [{ first: 1, last: 65535 }] : merge(numbersOf(axis, family).map(single));
  universes.set(`${axis}${family}`, made);
  return made;
}

const single = (number: number): PortRange => ({ first: number, last: number });

function numbersOf(axis: Axis, family: Family): number[] {
  const all = Array.from({ length: 256 }, (_, number) => number);
  if (axis === 'icmp') return all.filter((type) => isForPolicies(type, family));
  const others: readonly number[] = [...PORTED.values(), family === 4 ? 1 : 58];
  return all.filter((protocol) => !others.includes(protocol));
}

/** Errors pass with their flow, router advertisements never, and neighbours find each other whatever policies say. */
const isForPolicies = (type: number, family: Family): boolean =>
  !isIcmpError(family, type) && !isRouterAdvertisement(family, type) && !(family === 6 && NEIGHBOUR6.includes(type));

/** Where a rule begins, and where what follows it begins. */
const bordersOn = (axis: Axis, family: Family, rules: readonly ServiceMatch[]): number[] =>
  rules.flatMap((service) => rangesIn(axis, family, service).flatMap(({ first, last }) => [first, last + 1]));

function rangesIn(axis: Axis, family: Family, service: ServiceMatch): readonly PortRange[] {
  switch (service.kind) {
    case 'any':
      return [];
    case 'protocol':
      return axis === 'protocol' ? [single(service.protocol)] : [];
    case 'ports':
      return PORTED.get(axis) === service.protocol ? service.ports : [];
    case 'icmp':
      return axis === 'icmp' && service.family === family && service.type !== undefined ? [single(service.type)] : [];
  }
}

function allowedWithin(
  { first, last }: PortRange,
  borders: readonly number[],
  isAllowed: (number: number) => boolean,
): PortRange[] {
  const starts = [...new Set([first, ...borders.filter((border) => border > first && border <= last)])];
  starts.sort((a, b) => a - b);
  return starts.flatMap((start, index) =>
    isAllowed(start) ? [{ first: start, last: (starts[index + 1] ?? last + 1) - 1 }] : [],
  );
}

function packetOn(axis: Axis, family: Family, number: number): Pick<Packet, 'protocol' | 'port' | 'icmpType'> {
  if (axis === 'icmp') return { protocol: family === 4 ? 1 : 58, icmpType: number };
  const protocol = PORTED.get(axis);
  return protocol === undefined ? { protocol: number } : { protocol, port: number };
}

/** Sorted; what touches becomes one. */
export function merge(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const top = merged.at(-1);
    if (top === undefined || range.first > top.last + 1) merged.push(range);
    else merged[merged.length - 1] = { first: top.first, last: Math.max(top.last, range.last) };
  }
  return merged;
}

/** What of `whole` isn't in `ranges`. Both sorted and merged. */
export function subtract(whole: readonly PortRange[], ranges: readonly PortRange[]): PortRange[] {
  return whole.flatMap(({ first, last }) => {
    const left: PortRange[] = [];
    let next = first;
    for (const range of ranges) {
      if (range.last < next || range.first > last) continue;
      if (range.first > next) left.push({ first: next, last: range.first - 1 });
      next = range.last + 1;
    }
    return next <= last ? [...left, { first: next, last }] : left;
  });
}
