/**
 * Everything that a policy can tell apart about a packet but its peer, on one line of numbers: IP protocols, ports of
 * those that have some, ICMP types. Any set of services is a set of spans of it.
 *
 * What no policy decides has no place: ICMP errors and router advertisements, which the ruleset drops before any policy
 * is asked (chains `never` and `orphans`). ICMP types have a place in their own family alone.
 */
import type { Family } from '../../render/address.ts';
import type { ServiceMatch } from '../../render/rule.ts';
import { isIcmpError, isRouterAdvertisement } from '../icmp-types.ts';
import type { Packet } from '../model.ts';
import { intersectSpans, mergeSpans, type Span } from './spans.ts';

const PORTS = 65_536;
const TYPES = 256;

/** 0 to 255 are the protocols that have neither ports nor types. */
export const PORTED_AT = { 6: 256, 17: 256 + PORTS, 132: 256 + 2 * PORTS } as const;
export const ICMP_AT = { 4: 256 + 3 * PORTS, 6: 256 + 3 * PORTS + TYPES } as const;
const ICMP_PROTOCOL = { 4: 1, 6: 58 } as const;

const isPorted = (protocol: number): protocol is 6 | 17 | 132 => Object.hasOwn(PORTED_AT, protocol);

const segment = (first: number, size: number): Span => ({ first, last: first + size - 1 });
const point = (at: number): Span => ({ first: at, last: at });

export const portSegment = (protocol: 6 | 17 | 132): Span => segment(PORTED_AT[protocol], PORTS);

/** The types that a policy decides about. */
const icmpSpans = (family: Family): Span[] =>
  mergeSpans(
    Array.from({ length: TYPES }, (_, type) => type)
      .filter((type) => !isIcmpError(family, type) && !isRouterAdvertisement(family, type))
      .map((type) => point(ICMP_AT[family] + type)),
  );

const everything = (family: Family): Span[] =>
  mergeSpans([
    ...Array.from({ length: 256 }, (_, protocol) => protocol)
      .filter((protocol) => !isPorted(protocol) && protocol !== ICMP_PROTOCOL[family])
      .map(point),
    ...([6, 17, 132] as const).map(portSegment),
    ...icmpSpans(family),
  ]);

/** All places that a family has. */
export const LINE: Readonly<Record<Family, readonly Span[]>> = { 4: everything(4), 6: everything(6) };
export const ICMP: Readonly<Record<Family, readonly Span[]>> = { 4: icmpSpans(4), 6: icmpSpans(6) };

/** Where packets of that family lie that the match takes. */
export function spansOfService(service: ServiceMatch, family: Family): readonly Span[] {
  switch (service.kind) {
    case 'any':
      return LINE[family];
    case 'protocol':
      if (isPorted(service.protocol)) return [portSegment(service.protocol)];
      return service.protocol === ICMP_PROTOCOL[family] ? ICMP[family] : [point(service.protocol)];
    case 'ports': {
      const start = PORTED_AT[service.protocol];
      return service.ports.map(({ first, last }) => ({ first: start + first, last: start + last }));
    }
    case 'icmp':
      if (service.family !== family) return [];
      if (service.type === undefined) return ICMP[family];
      return intersectSpans([point(ICMP_AT[family] + service.type)], ICMP[family]);
  }
}

/** `undefined` for what no policy decides, and for a packet whose port or type isn't known. */
export function placeOfPacket({ family, protocol, port, icmpType }: Packet): number | undefined {
  if (isPorted(protocol)) return port === undefined ? undefined : PORTED_AT[protocol] + port;
  if (protocol !== ICMP_PROTOCOL[family]) return protocol;
  if (icmpType === undefined || isIcmpError(family, icmpType) || isRouterAdvertisement(family, icmpType)) {
    return undefined;
  }
  return ICMP_AT[family] + icmpType;
}
