/** What the values of a map have, followed from map to map. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { followParts } from '../../render/followed-parts.ts';
import { changeMap, followValues } from '../../render/shared-map.ts';

const change = fc.tuple(
  fc.constantFrom('a', 'b', 'c', 'd'),
  fc.option(fc.array(fc.nat(4), { maxLength: 3 }), { nil: undefined }),
);

it('is what the map itself says, and the same object while that is', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 12 }), (steps) => {
      const partsOf = followParts(
        (parts: readonly number[]) => parts,
        (parts) => [...parts].sort(),
      );
      const sumsOf = followValues<string, readonly number[], string>((parts) => parts.join());
      let map: ReadonlyMap<string, readonly number[]> = new Map();
      let [parts, sums] = [partsOf(map), sumsOf(map)];
      for (const changes of steps) {
        map = changeMap(map, changes);
        const [before, known] = [parts, sums];
        [parts, sums] = [partsOf(map), sumsOf(map)];
        expect(parts).toEqual([...new Set([...map.values()].flat())].sort());
        expect(parts === before).toBe(parts.join() === before.join());
        expect(new Map(sums)).toEqual(new Map([...map].map(([key, value]) => [key, value.join()])));
        if (known.size === sums.size && [...sums].every(([key, sum]) => known.get(key) === sum))
          expect(sums).toBe(known);
      }
    }),
    { numRuns: 300 },
  );
});
