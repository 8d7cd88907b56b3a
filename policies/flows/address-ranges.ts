/** Sets of addresses of both families as merged, sorted ranges; and the difference and intersection of such. */
import { type AddressRange, bitsOf, type Family, mergeRanges } from '../../render/address.ts';
import type { FamilyRanges } from '../address-book.ts';

/**
 * Behind a family's last address there is room for peers whose addresses nobody knows: each `dns:` name has a place of
 * its own there (peer-addresses.ts), so that rules about it can be told apart from others without an answer.
 */
const UNKNOWN = 1n << 20n;

export const firstUnknown = (family: Family): bigint => 1n << BigInt(bitsOf(family));

export const wholeFamily = (family: Family): AddressRange => ({
  family,
  first: 0n,
  last: firstUnknown(family) + UNKNOWN - 1n,
});

export const ALL_ADDRESSES: FamilyRanges = { 4: [wholeFamily(4)], 6: [wholeFamily(6)] };

/** What of `a` is not in `b`. */
export function subtractRanges(a: readonly AddressRange[], b: readonly AddressRange[]): AddressRange[] {
  const left: AddressRange[] = [];
  let index = firstReaching(b, a[0]);
  for (const { family, first, last } of a) {
    let from = first;
    for (let other = b[index]; other !== undefined; other = b[index]) {
      if (other.first > last) break;
      if (other.first > from) left.push({ family, first: from, last: other.first - 1n });
      if (other.last >= from) from = other.last + 1n;
      if (other.last > last) break;
      index += 1;
    }
    if (from <= last) left.push({ family, first: from, last });
  }
  return left;
}

export function intersectRanges(a: readonly AddressRange[], b: readonly AddressRange[]): AddressRange[] {
  const common: AddressRange[] = [];
  let index = firstReaching(b, a[0]);
  for (const { family, first, last } of a) {
    for (let other = b[index]; other !== undefined; other = b[index]) {
      if (other.first > last) break;
      if (other.last >= first) {
        common.push({
          family,
          first: other.first > first ? other.first : first,
          last: other.last < last ? other.last : last,
        });
      }
      if (other.last > last) break;
      index += 1;
    }
  }
  return common;
}

/** The first range that ends at or behind the beginning of the other. */
function firstReaching(ranges: readonly AddressRange[], start: AddressRange | undefined): number {
  let low = 0;
  let high = start === undefined ? 0 : ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.last ?? 0n) < (start?.first ?? 0n)) low = middle + 1;
    else high = middle;
  }
  return low;
}

type Operation = (a: readonly AddressRange[], b: readonly AddressRange[]) => readonly AddressRange[];

const inBoth = (operation: Operation, a: FamilyRanges, b: FamilyRanges): FamilyRanges => ({
  4: operation(a[4], b[4]),
  6: operation(a[6], b[6]),
});

export const uniteAddresses = (...sets: readonly FamilyRanges[]): FamilyRanges => ({
  4: mergeRanges(sets.flatMap((set) => set[4])),
  6: mergeRanges(sets.flatMap((set) => set[6])),
});
export const subtractAddresses = (a: FamilyRanges, b: FamilyRanges): FamilyRanges => inBoth(subtractRanges, a, b);
export const intersectAddresses = (a: FamilyRanges, b: FamilyRanges): FamilyRanges => inBoth(intersectRanges, a, b);

export const isEmpty = (set: FamilyRanges): boolean => set[4].length + set[6].length === 0;
export const countRanges = (set: FamilyRanges): number => set[4].length + set[6].length;
