/**
 * A label for every flow there is: peer address × service, both families. Addresses are cut into stretches that behave
 * alike; each stretch has a row, which cuts the service line (service-line.ts) into segments with one label each.
 *
 * Labels are compared by identity. Rows that say the same are one row, and neighbours that say the same are one
 * segment or stretch: tables with the same meaning and labels have the same stretches and segments.
 */
import { type AddressRange, addressNumber, type Family, familyOf } from '../../render/address.ts';
import type { Packet } from '../model.ts';
import { wholeFamily } from './address-ranges.ts';
import { placeOfPacket } from './service-line.ts';
import type { Span } from './spans.ts';

export interface Segment<L> extends Span {
  readonly label: L;
}

/** Sorted segments that cover the family's whole line. */
export type Row<L> = readonly Segment<L>[];

/** A stretch begins at its `start` and ends before the next one's; the first one begins at 0. */
export interface Stretches<L> {
  readonly starts: readonly bigint[];
  /** One for each start. */
  readonly rows: readonly Row<L>[];
}

export type FlowTable<L> = Readonly<Record<Family, Stretches<L>>>;

/** Equal rows become the same object; one of these serves one table and family. */
export class RowPool<L> {
  readonly #rows = new Map<string, Row<L>>();
  readonly #ids = new Map<L, number>();

  /** Segments must be sorted and cover the line; neighbours with one label are joined. */
  intern(segments: readonly Segment<L>[]): Row<L> {
    const joined: Segment<L>[] = [];
    let key = '';
    for (const segment of segments) {
      const top = joined.at(-1);
      if (top !== undefined && top.label === segment.label && top.last + 1 === segment.first) {
        joined[joined.length - 1] = { ...top, last: segment.last };
      } else {
        joined.push(segment);
        key += `${segment.first} ${this.#idOf(segment.label)},`;
      }
    }
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    this.#rows.set(key, joined);
    return joined;
  }

  #idOf(label: L): number {
    const known = this.#ids.get(label);
    if (known !== undefined) return known;
    this.#ids.set(label, this.#ids.size);
    return this.#ids.size - 1;
  }
}

/** Collects stretches from the lowest address on; those that go on with the same row are one. */
export class StretchBuilder<L> {
  readonly starts: bigint[] = [];
  readonly rows: Row<L>[] = [];

  add(start: bigint, row: Row<L>): void {
    if (this.rows.at(-1) === row) return;
    this.starts.push(start);
    this.rows.push(row);
  }
}

/** The table of both tables' labels at each flow, combined. `combine` gives the same object for the same meaning. */
export function overlay<A, B, C>(a: FlowTable<A>, b: FlowTable<B>, combine: (a: A, b: B) => C): FlowTable<C> {
  return { 4: overlayFamily(a[4], b[4], combine), 6: overlayFamily(a[6], b[6], combine) };
}

function overlayFamily<A, B, C>(a: Stretches<A>, b: Stretches<B>, combine: (a: A, b: B) => C): Stretches<C> {
  const pool = new RowPool<C>();
  const builder = new StretchBuilder<C>();
  const known = new Map<Row<A>, Map<Row<B>, Row<C>>>();
  const rowOf = (one: Row<A>, other: Row<B>): Row<C> => {
    const pairs = known.get(one) ?? new Map<Row<B>, Row<C>>();
    known.set(one, pairs);
    const before = pairs.get(other);
    if (before !== undefined) return before;
    const row = pool.intern(overlayRows(one, other, combine));
    pairs.set(other, row);
    return row;
  };
  for (let i = 0, j = 0; ; ) {
    const [one, other] = [a.rows[i], b.rows[j]];
    if (one === undefined || other === undefined) return builder;
    const [startA = 0n, startB = 0n] = [a.starts[i], b.starts[j]];
    builder.add(startA > startB ? startA : startB, rowOf(one, other));
    const [nextA, nextB] = [a.starts[i + 1], b.starts[j + 1]];
    if (nextA === undefined && nextB === undefined) return builder;
    const step = nextA === undefined ? 1 : nextB === undefined ? -1 : nextA < nextB ? -1 : nextA > nextB ? 1 : 0;
    if (step <= 0) i += 1;
    if (step >= 0) j += 1;
  }
}

/** The labels of both at each place of the line, combined. */
export function overlayRows<A, B, C>(a: Row<A>, b: Row<B>, combine: (a: A, b: B) => C): Segment<C>[] {
  const segments: Segment<C>[] = [];
  for (let i = 0, j = 0; ; ) {
    const [one, other] = [a[i], b[j]];
    if (one === undefined || other === undefined) return segments;
    const first = Math.max(one.first, other.first);
    const last = Math.min(one.last, other.last);
    if (first <= last) segments.push({ first, last, label: combine(one.label, other.label) });
    if (one.last <= other.last) i += 1;
    if (other.last <= one.last) j += 1;
  }
}

/** The same cuts with other labels. */
export function mapLabels<A, B>(table: FlowTable<A>, label: (label: A) => B): FlowTable<B> {
  const one = mapFamily(table[4], label);
  return { 4: one, 6: mapFamily(table[6], label) };
}

function mapFamily<A, B>({ starts, rows }: Stretches<A>, label: (label: A) => B): Stretches<B> {
  const pool = new RowPool<B>();
  const known = new Map<Row<A>, Row<B>>();
  const builder = new StretchBuilder<B>();
  for (const [index, row] of rows.entries()) {
    const mapped = known.get(row) ?? pool.intern(row.map((segment) => ({ ...segment, label: label(segment.label) })));
    known.set(row, mapped);
    builder.add(starts[index] ?? 0n, mapped);
  }
  return builder;
}

/** Rows with the addresses that behave so. */
export function rowsOf<L>({ starts, rows }: Stretches<L>, family: Family): Map<Row<L>, AddressRange[]> {
  const found = new Map<Row<L>, AddressRange[]>();
  for (const [index, row] of rows.entries()) {
    const next = starts[index + 1] ?? wholeFamily(family).last + 1n;
    const ranges = found.get(row) ?? [];
    ranges.push({ family, first: starts[index] ?? 0n, last: next - 1n });
    found.set(row, ranges);
  }
  return found;
}

/** Each label that some flow has. */
export const labelsOf = <L>(table: FlowTable<L>): ReadonlySet<L> =>
  new Set([...new Set([...table[4].rows, ...table[6].rows])].flatMap((row) => row.map(({ label }) => label)));

/** The parts of stretches that lie in the ranges, which are sorted, from the lowest address on. */
export function* rowsIn<L>(
  { starts, rows }: Stretches<L>,
  ranges: readonly AddressRange[],
): Generator<[AddressRange, Row<L>]> {
  for (const { family, first, last } of ranges) {
    for (let at = lastNotAbove(starts, first); ; at += 1) {
      const [start, row] = [starts[at], rows[at]];
      if (start === undefined || row === undefined || start > last) break;
      const end = (starts[at + 1] ?? last + 1n) - 1n;
      yield [{ family, first: start > first ? start : first, last: end < last ? end : last }, row];
    }
  }
}

/** Whether any flow at all has a label that the test takes. */
export const someLabel = <L>(table: FlowTable<L>, test: (label: L) => boolean): boolean =>
  [...labelsOf(table)].some(test);

/** `peer`: the far end. `undefined` for packets that no policy decides, see placeOfPacket. */
export function labelAt<L>(table: FlowTable<L>, packet: Packet, peer: Packet['source']): L | undefined {
  const place = placeOfPacket(packet);
  if (place === undefined) return undefined;
  const { starts, rows } = table[familyOf(peer)];
  const row = rows[lastNotAbove(starts, addressNumber(peer))] ?? [];
  return row.find(({ first, last }) => first <= place && place <= last)?.label;
}

function lastNotAbove(starts: readonly bigint[], number: bigint): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0n) <= number) low = middle;
    else high = middle - 1;
  }
  return low;
}
