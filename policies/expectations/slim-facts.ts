/** The same facts with as few addresses of containers as a question can tell apart. */
import type { AddressRange, Family } from '../../render/address.ts';
import type { Rule } from '../../render/rule.ts';
import type { ExpectationFacts } from './expectation-facts.ts';

/**
 * Thousands of containers leave as many holes in `internet`, which would cut every chain into as many stretches. Those
 * that no rule's own addresses touch are all alike, so that one of them stands for all.
 */
export function slimFacts(facts: ExpectationFacts, rules: readonly Rule[]): ExpectationFacts {
  const named = rules.flatMap(({ peer }) => (peer.kind === 'ranges' ? peer.ranges : []));
  const { containers } = facts.addresses;
  const slim = (family: Family): readonly AddressRange[] => {
    const all = [...named, ...facts.accept[family]].filter((range) => range.family === family);
    return slimRanges(containers[family], all);
  };
  return { ...facts, addresses: { ...facts.addresses, containers: { 4: slim(4), 6: slim(6) } } };
}

function slimRanges(ranges: readonly AddressRange[], named: readonly AddressRange[]): readonly AddressRange[] {
  const kept = new Set<number>();
  for (const { first, last } of named) {
    // Beside counts as touching: where the other begins, a stretch would, and be told as an example of something else.
    for (let at = firstEndingAt(ranges, first - 1n); at < ranges.length; at += 1) {
      if ((ranges[at]?.first ?? 0n) > last + 1n) break;
      kept.add(at);
    }
    if (kept.size === ranges.length) return ranges;
  }
  kept.add(ranges.findIndex((_, at) => !kept.has(at)));
  return [...kept].sort((a, b) => a - b).flatMap((at) => ranges[at] ?? []);
}

/** The position of the first range that ends at the address or behind it; they are sorted. */
function firstEndingAt(ranges: readonly AddressRange[], address: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.last ?? 0n) < address) low = middle + 1;
    else high = middle;
  }
  return low;
}
