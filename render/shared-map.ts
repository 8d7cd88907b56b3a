/** Maps that share what they have in common: of thousands of entries, a change of one copies neither the others nor looks at them. */

/** So many changes stand beside the entries that are shared; then all are copied once. */
const MOST = 256;

type Value = NonNullable<unknown>;

/** `undefined`: it isn't there. */
type Changes<K, V> = ReadonlyMap<K, V | undefined>;

/** The map with these changes; the one before stays as it was. Neither it nor what it was made from may ever be changed. */
export function changeMap<K, V extends Value>(
  map: ReadonlyMap<K, V>,
  changes: Iterable<readonly [K, V | undefined]>,
): ReadonlyMap<K, V> {
  const { shared, own } = partsOf(map);
  const changed = new Map(own);
  for (const [key, value] of changes) changed.set(key, value);
  const after = new SharedMap(shared, changed);
  return changed.size > MOST ? new Map(after) : after;
}

/** Where one has another value than the other, or none. */
export function changedKeys<K, V extends Value>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): K[] {
  if (before === after) return [];
  const [old, now] = [partsOf(before), partsOf(after)];
  const isShared = old.shared === now.shared;
  const [theirs, ours] = isShared ? [old.own, now.own] : [before, after];
  const keys: K[] = [];
  for (const key of theirs.keys()) if (before.get(key) !== after.get(key)) keys.push(key);
  for (const key of ours.keys()) if (!theirs.has(key) && before.get(key) !== after.get(key)) keys.push(key);
  return keys;
}

/** @returns what `convert` makes of each value; of another map, what changed. None may ever be changed. */
export function followValues<K, V extends Value, W extends Value>(
  convert: (value: V) => W,
): (map: ReadonlyMap<K, V>) => ReadonlyMap<K, W> {
  let last: ReadonlyMap<K, V> = new Map();
  let values: ReadonlyMap<K, W> = new Map();
  return (map) => {
    const changes: [K, W | undefined][] = [];
    for (const key of changedKeys(last, map)) {
      const value = map.get(key);
      const fresh = value === undefined ? undefined : convert(value);
      if (fresh !== values.get(key)) changes.push([key, fresh]);
    }
    last = map;
    if (changes.length > 0) values = changeMap(values, changes);
    return values;
  };
}

interface Parts<K, V> {
  readonly shared: ReadonlyMap<K, V>;
  readonly own: Changes<K, V>;
}

const partsOf = <K, V>(map: ReadonlyMap<K, V>): Parts<K, V> =>
  map instanceof SharedMap ? map : { shared: map, own: new Map() };

class SharedMap<K, V extends Value> implements ReadonlyMap<K, V>, Parts<K, V> {
  readonly shared: ReadonlyMap<K, V>;
  readonly own: Changes<K, V>;
  readonly size: number;

  constructor(shared: ReadonlyMap<K, V>, own: Changes<K, V>) {
    this.shared = shared;
    this.own = own;
    let { size } = shared;
    for (const [key, value] of own) size += Number(value !== undefined) - Number(shared.has(key));
    this.size = size;
  }

  get(key: K): V | undefined {
    const value = this.own.get(key);
    return value !== undefined || this.own.has(key) ? value : this.shared.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  *entries(): MapIterator<[K, V]> {
    for (const entry of this.shared) if (!this.own.has(entry[0])) yield entry;
    for (const [key, value] of this.own) if (value !== undefined) yield [key, value];
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  forEach(call: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) call(value, key, this);
  }
}
