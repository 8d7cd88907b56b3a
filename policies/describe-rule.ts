/** A compiled rule in the words of a policy file, for explanations. */
import { formatRange } from '../render/address.ts';
import type { Direction, PeerMatch, Rule, ServiceMatch } from '../render/rule.ts';
import { icmpTypes } from './icmp-types.ts';
import { formatMoment } from './moment.ts';
import { describeLimit } from './rate-limit.ts';

/** More ranges than this are counted, not listed. */
const listed = 4;

/** Such as `allow tcp/80,443 to 192.0.2.0/24`, and `, logged` where it is. */
export function describeRule(rule: Rule, direction: Direction): string {
  const preposition = direction === 'egress' ? 'to' : 'from';
  const family = rule.family === undefined ? '' : ` (IPv${rule.family})`;
  const logged = rule.log ? ', logged' : '';
  const bounds = describeBounds(rule);
  const shown = bounds === undefined ? '' : `, ${bounds}`;
  return `${rule.action} ${describeService(rule.service)} ${preposition} ${describePeer(rule.peer)}${family}${logged}${shown}`;
}

/** `at most 20/second, 40 at once, until 2027-01-31T00:00:00Z`; `undefined` for a rule without. */
export function describeBounds({ limit, until }: Rule): string | undefined {
  const bounds = [
    ...(limit === undefined ? [] : [describeLimit(limit)]),
    ...(until === undefined ? [] : [`until ${formatMoment(until)}`]),
  ];
  return bounds.length === 0 ? undefined : bounds.join(', ');
}

export function describePeer(peer: PeerMatch): string {
  if (peer.kind === 'dns') return `dns:${peer.name}`;
  if (peer.kind !== 'ranges') return peer.kind;
  const { ranges } = peer;
  const shown = ranges.slice(0, listed).map(formatRange).join(', ');
  return ranges.length > listed ? `${shown} and ${ranges.length - listed} more` : shown;
}

const portedNames = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

export function describeService(service: ServiceMatch): string {
  switch (service.kind) {
    case 'any':
      return 'any';
    case 'protocol':
      return `proto/${service.protocol}`;
    case 'ports': {
      const ports = service.ports.map(({ first, last }) => (first === last ? first : `${first}-${last}`));
      return `${portedNames[service.protocol]}/${ports.join(',')}`;
    }
    case 'icmp': {
      if (service.type === undefined) return `icmp${service.family}`;
      const name = [...icmpTypes[service.family]].find(([, type]) => type === service.type)?.[0];
      return `icmp${service.family}/${name ?? service.type}`;
    }
  }
}
