/** A set of addresses in as few words of the policy language as say it. */
import { type AddressRange, type Family, formatRange } from '../../render/address.ts';
import type { FamilyRanges } from '../address-book.ts';
import {
  ALL_ADDRESSES,
  countRanges,
  firstUnknown,
  intersectAddresses,
  isEmpty,
  subtractAddresses,
  uniteAddresses,
} from './address-ranges.ts';
import type { Wording } from './describe-services.ts';
import type { NamedPeer, PeerNames } from './peer-names.ts';

/** More pieces than this aren't looked up among ten thousand containers. */
const LOOKED_UP = 64;

/** `families`: those that count; addresses of the other one may be told or not. */
export function describePeers(peers: FamilyRanges, families: readonly Family[], names: PeerNames): Wording {
  const wanted = restrict(peers, families);
  const words = wordsFor(wanted, wanted, families, names);
  if (words.length <= 1) return { words, except: [] };
  const outside = subtractAddresses(restrict(ALL_ADDRESSES, families), wanted);
  let best: Wording = { words, except: [] };
  for (const base of [...names.symbols, ...names.lists()]) {
    const around = restrict(base.ranges, families);
    if (!isEmpty(subtractAddresses(wanted, around))) continue;
    const missing = subtractAddresses(around, wanted);
    const except = wordsFor(missing, outside, families, names);
    if (except.length + 1 < cost(best)) best = { words: [base.word], except };
  }
  return best;
}

const cost = ({ words, except }: Wording): number => words.length + except.length;

/** Words that together hold all of `needed`, and nothing that isn't `allowed`. */
function wordsFor(
  needed: FamilyRanges,
  allowed: FamilyRanges,
  families: readonly Family[],
  names: PeerNames,
): string[] {
  const exact = exactName(needed, families, names);
  if (exact !== undefined) return [exact];
  const chosen: NamedPeer[] = [];
  let left = needed;
  const offer = (peer: NamedPeer): void => {
    if (isEmpty(left)) return;
    for (const part of [peer, ...inOneFamily(peer, families)]) {
      const ranges = restrict(part.ranges, families);
      if (isEmpty(intersectAddresses(ranges, left)) || !isEmpty(subtractAddresses(ranges, allowed))) continue;
      chosen.push({ word: part.word, ranges });
      left = subtractAddresses(left, ranges);
    }
  };
  for (const peer of [...names.symbols, ...names.lists()]) offer(peer);
  if (countRanges(left) <= LOOKED_UP) for (const peer of names.containersIn(left, LOOKED_UP) ?? []) offer(peer);
  const literals = [...left[4], ...left[6]].flatMap(literal);
  return [...withoutNeedless(chosen, needed, left).map(({ word }) => word), ...literals];
}

/** Whom nobody knows and nobody named has no address to tell. */
function literal({ family, first, last }: AddressRange): string[] {
  const end = firstUnknown(family);
  return first >= end ? [] : [formatRange({ family, first, last: last < end ? last : end - 1n })];
}

/** A group or a set that has only this one container isn't what one would call it. */
function exactName(needed: FamilyRanges, families: readonly Family[], names: PeerNames): string | undefined {
  const containers = countRanges(needed) <= LOOKED_UP ? (names.containersIn(needed, LOOKED_UP) ?? []) : [];
  const inOrder = [...names.symbols, ...containers, ...names.lists()];
  return inOrder.find(({ ranges }) => sameAddresses(restrict(ranges, families), needed))?.word;
}

function sameAddresses(a: FamilyRanges, b: FamilyRanges): boolean {
  return ([4, 6] as const).every(
    (family) =>
      a[family].length === b[family].length &&
      a[family].every(({ first, last }, index) => first === b[family][index]?.first && last === b[family][index]?.last),
  );
}

/** `0.0.0.0/0`, `internet (IPv6)` */
function inOneFamily({ word, ranges }: NamedPeer, families: readonly Family[]): NamedPeer[] {
  if (families.length < 2) return [];
  return families.map((family) => ({
    word: word === 'any' ? (family === 4 ? '0.0.0.0/0' : '::/0') : `${word} (IPv${family})`,
    ranges: restrict(ranges, [family]),
  }));
}

function withoutNeedless(chosen: readonly NamedPeer[], needed: FamilyRanges, left: FamilyRanges): NamedPeer[] {
  let kept = [...chosen];
  for (const peer of chosen) {
    const others = kept.filter((other) => other !== peer);
    const covered = uniteAddresses(left, ...others.map(({ ranges }) => ranges));
    if (others.length < kept.length && isEmpty(subtractAddresses(needed, covered))) kept = others;
  }
  return kept;
}

const restrict = (ranges: FamilyRanges, families: readonly Family[]): FamilyRanges => ({
  4: families.includes(4) ? ranges[4] : [],
  6: families.includes(6) ? ranges[6] : [],
});
