/** Which addresses a rule's peer stands for on one host at one moment; symbolic peers become plain ranges. */
import {
  type Address,
  type AddressRange,
  addressNumber,
  type Family,
  familyOf,
  hostPrefix,
  mergeRanges,
  rangeOf,
} from '../../render/address.ts';
import type { DnsName } from '../../render/dns-name.ts';
import { NON_PUBLIC } from '../../render/non-public.ts';
import type { PeerMatch } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { type HostFacts, rangesContain } from '../model.ts';
import { firstUnknown, subtractRanges, wholeFamily } from './address-ranges.ts';

/** Merged and sorted. The same object should be used again and again: what follows from it is remembered by it. */
export interface HostAddresses {
  /** Of every scope, gateways on host-side veths among them. */
  readonly host: FamilyRanges;
  /** On-link prefixes of the uplinks. */
  readonly lan: FamilyRanges;
  /** Addresses and routed prefixes of containers here. */
  readonly containers: FamilyRanges;
  /** What names stand for now; one that isn't here has no addresses that are known. */
  readonly dns: ReadonlyMap<DnsName, readonly Address[]>;
}

export function rangesOfPeer(peer: PeerMatch, family: Family, addresses: HostAddresses): readonly AddressRange[] {
  switch (peer.kind) {
    case 'any':
      return [wholeFamily(family)];
    case 'host':
      return addresses.host[family];
    case 'lan':
      return addresses.lan[family];
    case 'internet':
      return internetOf(addresses)[family];
    case 'dns':
      return rangesOfName(peer.name, addresses)[family];
    case 'ranges':
      return peer.family === family ? peer.ranges : [];
  }
}

const internets = new WeakMap<HostAddresses, FamilyRanges>();

export function internetOf(addresses: HostAddresses): FamilyRanges {
  const known = internets.get(addresses);
  if (known !== undefined) return known;
  const ranges = { 4: internetRanges(4, addresses), 6: internetRanges(6, addresses) };
  internets.set(addresses, ranges);
  return ranges;
}

function internetRanges(family: Family, { host, lan, containers }: HostAddresses): AddressRange[] {
  const others = [...NON_PUBLIC[family].map(rangeOf), ...host[family], ...lan[family], ...containers[family]];
  return subtractRanges([wholeFamily(family)], mergeRanges(others));
}

const names = new WeakMap<HostAddresses, Map<DnsName, FamilyRanges>>();

/** Its addresses, and a place behind all addresses for those that it may come to have. */
export function rangesOfName(name: DnsName, addresses: HostAddresses): FamilyRanges {
  const places = names.get(addresses) ?? new Map<DnsName, FamilyRanges>();
  names.set(addresses, places);
  const known = places.get(name);
  if (known !== undefined) return known;
  const listed = (addresses.dns.get(name) ?? []).map((address) => rangeOf(hostPrefix(address)));
  const of = (family: Family): AddressRange[] => {
    const place = firstUnknown(family) + BigInt(places.size);
    return mergeRanges([...listed.filter((range) => range.family === family), { family, first: place, last: place }]);
  };
  const ranges = { 4: of(4), 6: of(6) };
  places.set(name, ranges);
  return ranges;
}

/** The names that rules of this host were found to mean so far. */
export const knownNames = (addresses: HostAddresses): Iterable<[DnsName, FamilyRanges]> => names.get(addresses) ?? [];

/** The same facts for evaluateChain. */
export function factsOf({ host, lan, containers, dns }: HostAddresses): HostFacts {
  const holds = (ranges: FamilyRanges): HostFacts['isLan'] => {
    return (address) => rangesContain(ranges[familyOf(address)], addressNumber(address));
  };
  return {
    isHostAddress: holds(host),
    isLan: holds(lan),
    isContainer: holds(containers),
    isDnsAddress: (name, address) => dns.get(name)?.includes(address) === true,
  };
}
