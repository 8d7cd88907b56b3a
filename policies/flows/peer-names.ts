/** The names that addresses have on one host: host, lan, internet, sets, groups and containers. */
import type { AddressRange, Family } from '../../render/address.ts';
import { type AddressBook, type FamilyRanges, rangesOfPrefixes } from '../address-book.ts';
import type { AddressSet } from '../address-set.ts';
import { ALL_ADDRESSES, isEmpty } from './address-ranges.ts';
import { type HostAddresses, internetOf, knownNames } from './peer-addresses.ts';

export interface NamedPeer {
  /** As in a policy: `internet`, `container:web`. */
  readonly word: string;
  readonly ranges: FamilyRanges;
}

export interface PeerNames {
  /** any, internet, lan and host, as far as there are such addresses. */
  readonly symbols: readonly NamedPeer[];
  /** Names of the DNS that rules mean, sets and groups. */
  lists(): readonly NamedPeer[];
  /** Containers that have an address in one of the ranges; `undefined` where that would be more than `limit`. */
  containersIn(ranges: FamilyRanges, limit: number): readonly NamedPeer[] | undefined;
}

export function peerNames(
  addresses: HostAddresses,
  book: AddressBook,
  sets: ReadonlyMap<string, AddressSet>,
): PeerNames {
  const named = (word: string, ranges: FamilyRanges): NamedPeer => ({ word, ranges });
  const symbols = [
    named('any', ALL_ADDRESSES),
    named('internet', internetOf(addresses)),
    named('lan', addresses.lan),
    named('host', addresses.host),
  ];
  const lists = [
    ...[...sets].map(([name, { ranges }]) => named(`set:${name}`, ranges)),
    ...[...book.groupNames()].map((name) => named(`group:${name}`, rangesOfPrefixes(book.group(name) ?? []))),
  ];
  const isSomebody = ({ ranges }: NamedPeer): boolean => !isEmpty(ranges);
  const some = lists.filter(isSomebody);
  let containers: ContainerIndex | undefined;
  return {
    symbols: symbols.filter(isSomebody),
    lists: () => [...[...knownNames(addresses)].map(([name, ranges]) => named(`dns:${name}`, ranges)), ...some],
    containersIn: (ranges, limit) => {
      containers ??= indexContainers(book);
      return findContainers(containers, ranges, limit);
    },
  };
}

interface Entry {
  readonly range: AddressRange;
  readonly peer: NamedPeer;
}
type ContainerIndex = Readonly<Record<Family, readonly Entry[]>>;

function indexContainers(book: AddressBook): ContainerIndex {
  const entries = [...book.containerNames()].flatMap((name) => {
    const ranges = rangesOfPrefixes(book.container(name) ?? []);
    const peer = { word: `container:${name}`, ranges };
    return [...ranges[4], ...ranges[6]].map((range) => ({ range, peer }));
  });
  const sorted = (family: Family): Entry[] =>
    entries
      .filter(({ range }) => range.family === family)
      .sort((a, b) => (a.range.first < b.range.first ? -1 : a.range.first > b.range.first ? 1 : 0));
  return { 4: sorted(4), 6: sorted(6) };
}

function findContainers(index: ContainerIndex, ranges: FamilyRanges, limit: number): NamedPeer[] | undefined {
  const found = new Set<NamedPeer>();
  for (const family of [4, 6] as const) {
    for (const { first, last } of ranges[family]) {
      for (let at = firstFrom(index[family], first); ; at += 1) {
        const entry = index[family][at];
        if (entry === undefined || entry.range.first > last) break;
        found.add(entry.peer);
        if (found.size > limit) return undefined;
      }
    }
  }
  return [...found];
}

function firstFrom(entries: readonly Entry[], address: bigint): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.range.first ?? 0n) < address) low = middle + 1;
    else high = middle;
  }
  return low;
}
