/** What a compiled chain does with one packet: the meaning of render/rule.ts, without a kernel. */
import {
  type Address,
  type AddressRange,
  addressNumber,
  contains,
  type Family,
  familyOf,
  rangeOf,
} from '../render/address.ts';
import type { DnsName } from '../render/dns-name.ts';
import { NON_PUBLIC } from '../render/non-public.ts';
import type { Origin, PeerMatch, PolicyChain, Rule, ServiceMatch, Verdict } from '../render/rule.ts';
import { isIcmpError, isRouterAdvertisement } from './icmp-types.ts';

export interface Packet {
  readonly family: Family;
  readonly source: Address;
  readonly destination: Address;
  /** The IP protocol number; 1 is ICMP, 58 ICMPv6. */
  readonly protocol: number;
  /** The destination port, where the protocol has ports. */
  readonly port?: number;
  readonly icmpType?: number;
}

export interface HostFacts {
  isHostAddress(address: Address): boolean;
  isLan(address: Address): boolean;
  /** An address of a container on this host. */
  isContainer(address: Address): boolean;
  /** Whether the name stands for the address now. */
  isDnsAddress(name: DnsName, address: Address): boolean;
}

/** A rule that matched, in order; the last step decides. `rule` is `null` for the chain's default. */
interface Step {
  readonly rule: Rule | null;
  readonly action: Verdict | 'log';
  readonly logged: boolean;
  readonly origin: Origin | null;
  /** Where it passes only because the chain observes: what it would meet else. */
  readonly observed?: Verdict;
}

export interface Evaluation {
  readonly verdict: Verdict;
  /** The rule that decided, or `null` for the default. */
  readonly rule: Rule | null;
  readonly steps: readonly Step[];
}

/** For the first packet of a flow; replies never get here. */
export function evaluateChain(chain: PolicyChain, packet: Packet, facts: HostFacts): Evaluation {
  const peer = chain.direction === 'egress' ? packet.destination : packet.source;
  const steps: Step[] = [];
  for (const rule of chain.rules) {
    if (!matchesRule(rule, packet, peer, facts)) continue;
    const logged = rule.log || rule.action === 'log';
    if (rule.action === 'log') steps.push({ rule, action: 'log', logged, origin: rule.origin });
    else return decided(steps, { rule, logged, origin: rule.origin, ...passing(chain, rule.action) });
  }
  const { verdict, log, origin } = chain.default;
  return decided(steps, { rule: null, logged: log, origin, ...passing(chain, verdict) });
}

/** What a chain that observes refuses passes. */
const passing = ({ observe }: PolicyChain, verdict: Verdict): { action: Verdict; observed?: Verdict } =>
  observe === undefined || verdict === 'allow' ? { action: verdict } : { action: 'allow', observed: verdict };

const decided = (before: readonly Step[], last: Step & { readonly action: Verdict }): Evaluation => ({
  verdict: last.action,
  rule: last.rule,
  steps: [...before, last],
});

function matchesRule(rule: Rule, packet: Packet, peer: Address, facts: HostFacts): boolean {
  if (rule.family !== undefined && rule.family !== packet.family) return false;
  return matchesService(rule.service, packet) && matchesPeer(rule.peer, peer, facts);
}

function matchesPeer(match: PeerMatch, peer: Address, facts: HostFacts): boolean {
  switch (match.kind) {
    case 'any':
      return true;
    case 'host':
      return facts.isHostAddress(peer);
    case 'lan':
      return facts.isLan(peer);
    case 'internet':
      return !facts.isHostAddress(peer) && !facts.isLan(peer) && !facts.isContainer(peer) && isPublic(peer);
    case 'dns':
      return facts.isDnsAddress(match.name, peer);
    case 'ranges':
      return match.family === familyOf(peer) && rangesContain(match.ranges, addressNumber(peer));
  }
}

/** Ranges are sorted and don't overlap; sets may be long. */
export function rangesContain(ranges: readonly AddressRange[], address: bigint): boolean {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (range === undefined) return false;
    if (address < range.first) high = middle - 1;
    else if (address > range.last) low = middle + 1;
    else return true;
  }
  return false;
}

const nonPublicRanges = { 4: NON_PUBLIC[4].map(rangeOf), 6: NON_PUBLIC[6].map(rangeOf) };

/** Of the internet, as far as the address alone tells. */
export const isPublic = (address: Address): boolean =>
  !nonPublicRanges[familyOf(address)].some((range) => contains(range, address));

function matchesService(service: ServiceMatch, { family, protocol, port, icmpType }: Packet): boolean {
  switch (service.kind) {
    case 'any':
      return true;
    case 'protocol':
      return protocol === service.protocol;
    case 'ports':
      return (
        protocol === service.protocol &&
        port !== undefined &&
        service.ports.some(({ first, last }) => port >= first && port <= last)
      );
    case 'icmp': {
      if (family !== service.family || protocol !== (family === 4 ? 1 : 58)) return false;
      if (service.type !== undefined) return icmpType === service.type;
      return icmpType === undefined || !(isIcmpError(family, icmpType) || isRouterAdvertisement(family, icmpType));
    }
  }
}
