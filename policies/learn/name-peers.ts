/** Addresses that used one service, as peers of a policy: by name where they have one, and in few words. */
import {
  type Address,
  type AddressRange,
  addressNumber,
  contains,
  type Family,
  familyOf,
  prefixOf,
} from '../../render/address.ts';

/** What is known of addresses. */
export interface PeerNames {
  readonly isHost: (address: Address) => boolean;
  readonly containerOf: (address: Address) => string | undefined;
  readonly isLan: (address: Address) => boolean;
  /** Of the internet, as a policy means it. */
  readonly isInternet: (address: Address) => boolean;
  /** By group: its containers. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlyMap<string, readonly AddressRange[]>;
}

/** `wider`: that it stands for more addresses than were seen, and how that came. */
export interface NamedPeer {
  readonly word: string;
  readonly addresses: readonly Address[];
  readonly wider?: string;
}

/**
 * Up to so many addresses are listed one by one. More of one network (/24, /64) become that network; more networks than
 * that become `lan` or `internet`. These bounds are promised in docs/learning.md.
 */
const LISTED = { addresses: 4, networks: 8 } as const;

const NETWORK = { 4: 24, 6: 64 } as const;

/** In the order host, containers, sets, lan, single addresses, internet. `widen`: may stand for more than was seen. */
export function namePeers(addresses: readonly Address[], names: PeerNames, widen: boolean): NamedPeer[] {
  const rest = [...new Set(addresses)].sort(byNumber);
  const take = (matches: (address: Address) => boolean): Address[] => {
    const taken = rest.filter(matches);
    for (const address of taken) rest.splice(rest.indexOf(address), 1);
    return taken;
  };
  const host = take(names.isHost);
  const containers = nameContainers(
    take((address) => names.containerOf(address) !== undefined),
    names,
  );
  const sets = widen ? nameSets(take, names) : [];
  const lan = nameNear('lan', take(names.isLan), widen);
  const internet = nameNear('internet', take(names.isInternet), widen);
  return [
    ...(host.length > 0 ? [{ word: 'host', addresses: host }] : []),
    ...containers,
    ...sets,
    ...lan,
    ...nameNetworks(rest, widen),
    ...internet,
  ];
}

/** A group only where each of its containers was seen: it must not let in the others. */
function nameContainers(addresses: readonly Address[], { containerOf, groups }: PeerNames): NamedPeer[] {
  const byName = new Map<string, Address[]>();
  for (const address of addresses) {
    const name = containerOf(address) ?? '';
    byName.set(name, [...(byName.get(name) ?? []), address]);
  }
  const named: NamedPeer[] = [];
  for (const [group, members] of groups) {
    if (members.length < 2 || !members.every((member) => byName.has(member))) continue;
    named.push({ word: `group:${group}`, addresses: members.flatMap((member) => byName.get(member) ?? []) });
    for (const member of members) byName.delete(member);
  }
  return [...named, ...[...byName].map(([name, own]) => ({ word: `container:${name}`, addresses: own }))];
}

/** A set of which two addresses were seen, or one of at most four. */
function nameSets(take: (matches: (address: Address) => boolean) => Address[], { sets }: PeerNames): NamedPeer[] {
  return [...sets].flatMap(([name, ranges]): NamedPeer[] => {
    const isMember = (address: Address): boolean => ranges.some((range) => contains(range, address));
    const size = ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
    const members = take(isMember);
    if (members.length === 0) return [];
    if (members.length < 2 && size > 4n) return nameNetworks(members, false);
    const wider = size > BigInt(members.length) ? { wider: `all of set:${name}` } : {};
    return [{ word: `set:${name}`, addresses: members, ...wider }];
  });
}

function nameNear(word: 'lan' | 'internet', addresses: readonly Address[], widen: boolean): NamedPeer[] {
  const networks = nameNetworks(addresses, widen);
  if (!widen || networks.length <= LISTED.networks) return networks;
  return [{ word, addresses, wider: `${addresses.length} addresses, more than are listed` }];
}

function nameNetworks(addresses: readonly Address[], widen: boolean): NamedPeer[] {
  const byNetwork = new Map<string, Address[]>();
  for (const address of addresses) {
    const network = prefixOf(addressNumber(address), NETWORK[familyOf(address)], familyOf(address));
    byNetwork.set(network, [...(byNetwork.get(network) ?? []), address]);
  }
  return [...byNetwork].flatMap(([network, own]): NamedPeer[] =>
    widen && own.length > LISTED.addresses
      ? [{ word: network, addresses: own, wider: `${own.length} addresses of that network` }]
      : own.map((address) => ({ word: address, addresses: [address] })),
  );
}

function byNumber(a: Address, b: Address): number {
  const [first, second]: [Family, Family] = [familyOf(a), familyOf(b)];
  if (first !== second) return first - second;
  return addressNumber(a) < addressNumber(b) ? -1 : 1;
}
