/** The services of one rule as few matches as say the same. */
import type { Family } from '../render/address.ts';
import type { PortRange, ServiceMatch } from '../render/rule.ts';
import { mergePorts } from './services.ts';

/**
 * Ports are merged per protocol; what a wider match of the same rule holds is left out. The order is always the same,
 * so that rules that mean the same share a chain.
 */
export function mergeServices(matches: readonly ServiceMatch[]): ServiceMatch[] {
  const ports = new Map<6 | 17 | 132, PortRange[]>();
  const protocols = new Set<number>();
  const icmp = new Map<Family, Set<number> | 'all'>();
  for (const match of matches) {
    switch (match.kind) {
      case 'any':
        return [match];
      case 'protocol':
        protocols.add(match.protocol);
        break;
      case 'ports':
        ports.set(match.protocol, [...(ports.get(match.protocol) ?? []), ...match.ports]);
        break;
      case 'icmp':
        addIcmpType(icmp, match.family, match.type);
        break;
    }
  }
  return [
    ...[...ports]
      .filter(([protocol]) => !protocols.has(protocol))
      .sort(([a], [b]) => a - b)
      .map(([protocol, list]) => ({ kind: 'ports', protocol, ports: mergePorts(list) }) as const),
    ...[...icmp].sort(([a], [b]) => a - b).flatMap(([family, types]) => icmpMatches(family, types)),
    ...[...protocols].sort((a, b) => a - b).map((protocol) => ({ kind: 'protocol', protocol }) as const),
  ];
}

function addIcmpType(icmp: Map<Family, Set<number> | 'all'>, family: Family, type: number | undefined): void {
  const types = icmp.get(family) ?? new Set<number>();
  if (types === 'all') return;
  icmp.set(family, type === undefined ? 'all' : types.add(type));
}

function icmpMatches(family: Family, types: ReadonlySet<number> | 'all'): ServiceMatch[] {
  if (types === 'all') return [{ kind: 'icmp', family }];
  return [...types].sort((a, b) => a - b).map((type) => ({ kind: 'icmp', family, type }));
}
