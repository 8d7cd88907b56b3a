/** All addresses of a family from the lowest on, cut where the set of peers changes that they belong to. */
import type { AddressRange, Family } from '../../render/address.ts';
import { wholeFamily } from './address-ranges.ts';

/** A set of peers, what becomes of those who are just that, and where crossing an edge of each leads. */
interface Place<R> {
  readonly peers: bigint;
  row?: R;
  /** By the peer's index. Long lists cross the same few edges again and again. */
  readonly across: Place<R>[];
}

/**
 * Tells where another set of peers begins. `lists`: sorted ranges of each peer. `rowOf`: what is told of the addresses that are
 * of these peers and no others, as bits, the first list's lowest; asked once for each set that some address has.
 */
export function sweepPeers<R>(
  lists: readonly (readonly AddressRange[])[],
  family: Family,
  rowOf: (peers: bigint) => R,
  add: (start: bigint, row: R) => void,
): void {
  const cross = createPlaces<R>();
  const cursors = lists.map((list) => new Cursor(list));
  let here = cross(undefined, 0);
  let start = 0n;
  for (;;) {
    const next = leastOf(cursors);
    const isWithin = next === undefined ? start <= wholeFamily(family).last : next !== start;
    if (isWithin) {
      here.row ??= rowOf(here.peers);
      add(start, here.row);
    }
    if (next === undefined) return;
    for (let index = 0; index < cursors.length; index += 1) {
      // Twice, where a list goes on with the next address.
      for (const cursor = cursors[index]; cursor?.edge === next; cursor.advance()) here = cross(here, index);
    }
    start = next;
  }
}

function leastOf(cursors: readonly Cursor[]): bigint | undefined {
  let least: bigint | undefined;
  for (const { edge } of cursors) if (edge !== undefined && (least === undefined || edge < least)) least = edge;
  return least;
}

/** From edge to edge of a list: where each of its ranges begins, and where it has ended. */
class Cursor {
  readonly #list: readonly AddressRange[];
  #index = 0;
  #isInside = false;
  edge: bigint | undefined;

  constructor(list: readonly AddressRange[]) {
    this.#list = list;
    this.edge = list[0]?.first;
  }

  advance(): void {
    const range = this.#list[this.#index];
    this.#isInside = !this.#isInside;
    if (this.#isInside) this.edge = range && range.last + 1n;
    else {
      this.#index += 1;
      this.edge = this.#list[this.#index]?.first;
    }
  }
}

function createPlaces<R>(): (from: Place<R> | undefined, index: number) => Place<R> {
  const known = new Map<bigint, Place<R>>();
  const placeOf = (peers: bigint): Place<R> => {
    const place = known.get(peers) ?? { peers, across: [] };
    known.set(peers, place);
    return place;
  };
  return (from, index) => {
    if (from === undefined) return placeOf(0n);
    from.across[index] ??= placeOf(from.peers ^ (1n << BigInt(index)));
    return from.across[index];
  };
}
