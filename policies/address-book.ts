/** Where `container:` and `group:` names get their addresses from; other sources than this host may join. */
import { type AddressRange, mergeRanges, type Prefix, rangeOf } from '../render/address.ts';

export interface AddressBook {
  /**
   * Its addresses as host prefixes, and the prefixes routed to it; `undefined` for a name that nobody knows. Equal
   * answers should be the same array: that makes isFresh cheap.
   */
  container(name: string): readonly Prefix[] | undefined;
  /** The addresses of all containers with this lxc.group. */
  group(name: string): readonly Prefix[] | undefined;
  containerNames(): Iterable<string>;
  groupNames(): Iterable<string>;
}

/** A book with fixed entries. */
export function createAddressBook(
  containers: ReadonlyMap<string, readonly Prefix[]>,
  groups: ReadonlyMap<string, readonly Prefix[]>,
): AddressBook {
  return {
    container: (name) => containers.get(name),
    group: (name) => groups.get(name),
    containerNames: () => containers.keys(),
    groupNames: () => groups.keys(),
  };
}

export interface FamilyRanges {
  readonly 4: readonly AddressRange[];
  readonly 6: readonly AddressRange[];
}

const known = new WeakMap<readonly Prefix[], FamilyRanges>();

/** Merged by family; the same array of prefixes gives the same ranges. */
export function rangesOfPrefixes(prefixes: readonly Prefix[]): FamilyRanges {
  const before = known.get(prefixes);
  if (before !== undefined) return before;
  const merged = mergeRanges(prefixes.map(rangeOf));
  const ranges = {
    4: merged.filter(({ family }) => family === 4),
    6: merged.filter(({ family }) => family === 6),
  };
  known.set(prefixes, ranges);
  return ranges;
}
