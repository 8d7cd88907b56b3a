/** A map that shares its parts is the map that a copy would have been, and so are those that it was made from. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changedKeys, changeMap } from '../../render/shared-map.ts';

type Change = readonly [key: number, value: string | undefined];

const changes = fc.array(
  fc.array(fc.tuple(fc.nat(400), fc.option(fc.constantFrom('a', 'b'), { nil: undefined })), { maxLength: 40 }),
  { maxLength: 40 },
);

function copyWith(map: ReadonlyMap<number, string>, list: readonly Change[]): Map<number, string> {
  const copy = new Map(map);
  for (const [key, value] of list) {
    if (value === undefined) copy.delete(key);
    else copy.set(key, value);
  }
  return copy;
}

const sorted = (map: ReadonlyMap<number, string>) => [...map].sort(([a], [b]) => a - b);

test('whatever is changed, and however often', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(400)), changes, (keys, steps) => {
      const first: ReadonlyMap<number, string> = new Map(keys.map((key) => [key, 'a']));
      const maps = [{ shared: first, copy: new Map(first) }];
      for (const step of steps) {
        const { shared, copy } = maps.at(-1) ?? expect.unreachable();
        maps.push({ shared: changeMap(shared, step), copy: copyWith(copy, step) });
      }
      for (const { shared, copy } of maps) {
        expect(sorted(shared)).toEqual(sorted(copy));
        expect([...shared.keys()].sort()).toEqual([...copy.keys()].sort());
        expect([...shared.values()].sort()).toEqual([...copy.values()].sort());
        expect(shared.size).toBe(copy.size);
        for (let key = 0; key <= 400; key += 1) {
          expect(shared.get(key)).toBe(copy.get(key));
          expect(shared.has(key)).toBe(copy.has(key));
        }
        const told = new Map<number, string>();
        shared.forEach((value, key) => void told.set(key, value));
        expect(sorted(told)).toEqual(sorted(copy));
      }
    }),
    { numRuns: 30 },
  );
});

test('the keys of what differs, between any two', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(400)), changes, (keys, steps) => {
      const maps: ReadonlyMap<number, string>[] = [new Map(keys.map((key) => [key, 'a']))];
      for (const step of steps) maps.push(changeMap(maps.at(-1) ?? expect.unreachable(), step));
      for (const before of maps)
        for (const after of [maps.at(-1) ?? before, maps[0] ?? before, before]) {
          const differing = Array.from({ length: 401 }, (_, key) => key).filter(
            (key) => before.get(key) !== after.get(key),
          );
          expect(changedKeys(before, after).sort((a, b) => a - b)).toEqual(differing);
        }
    }),
    { numRuns: 30 },
  );
});

test('of thousands, nobody looks at those that are shared', () => {
  const others = new Unseen(Array.from({ length: 5_000 }, (_, key): [number, string] => [key, 'a']));
  const first = changeMap<number, string>(others, [[7, 'b']]);
  others.isHidden = true;
  const second = changeMap(first, [
    [8, 'b'],
    [9, undefined],
    [7, 'a'],
  ]);
  expect([second.size, second.get(7), second.get(8), second.has(9), second.get(10)]).toEqual([
    4_999,
    'a',
    'b',
    false,
    'a',
  ]);
  expect(changedKeys(first, second).sort()).toEqual([7, 8, 9]);
  expect(() => [...second]).toThrow('all are looked at');
});

class Unseen extends Map<number, string> {
  isHidden = false;

  override [Symbol.iterator](): MapIterator<[number, string]> {
    if (this.isHidden) throw new Error('all are looked at');
    return super[Symbol.iterator]();
  }
}
