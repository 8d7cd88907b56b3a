/** What the values of a map have, carried from map to map by those that changed: of thousands, nobody looks at the others. */
import { changedKeys } from './shared-map.ts';

/** @returns what `sum` makes of all parts, each told once; the same result while no part came or went. No map may ever be changed. */
export function followParts<K, V extends NonNullable<unknown>, P, R>(
  partsOf: (value: V) => Iterable<P>,
  sum: (parts: Iterable<P>) => R,
): (map: ReadonlyMap<K, V>) => R {
  const counts = new Map<P, number>();
  let last: ReadonlyMap<K, V> = new Map();
  let result: { readonly told: R } | undefined;
  const count = (value: V | undefined, by: 1 | -1): void => {
    if (value === undefined) return;
    for (const part of partsOf(value)) {
      const before = counts.get(part) ?? 0;
      if (before + by === 0) counts.delete(part);
      else counts.set(part, before + by);
      if (before === 0 || before + by === 0) result = undefined;
    }
  };
  return (map) => {
    const keys = changedKeys(last, map);
    // First those that come, since one may have what another gives up.
    for (const key of keys) count(map.get(key), 1);
    for (const key of keys) count(last.get(key), -1);
    last = map;
    result ??= { told: sum(counts.keys()) };
    return result.told;
  };
}
