/** A part of a flow table as few products of peers and services, each of which one line can tell. */
import { type AddressRange, type Family, mergeRanges } from '../../render/address.ts';
import type { FamilyRanges } from '../address-book.ts';
import { type FlowTable, type Row, rowsOf } from './flow-table.ts';
import { LINE } from './service-line.ts';
import { mergeSpans, type Span } from './spans.ts';

/** All flows between these peers and these services, as far as the service exists in the peer's family. */
export interface Rectangle<L> {
  readonly peers: FamilyRanges;
  readonly services: readonly Span[];
  /** Every label that occurs in it, in the order of first occurrence. */
  readonly labels: readonly L[];
}

/** Addresses that behave alike. Cells are bits, one for each column. */
interface Line<L> {
  readonly family: Family;
  readonly ranges: readonly AddressRange[];
  readonly row: Row<L>;
  readonly cells: bigint;
}

interface Grid<L> {
  readonly columns: readonly Span[];
  readonly lines: readonly Line<L>[];
  /** The columns that exist in a family. */
  readonly exists: Readonly<Record<Family, bigint>>;
}

/** Lines and columns in all up to which the best next rectangle is searched for; else each line is one. */
const SEARCHED = 160;

/** Disjoint; together exactly the flows whose label `test` takes. */
export function rectanglesOf<L>(table: FlowTable<L>, test: (label: L) => boolean): Rectangle<L>[] {
  const grid = gridOf(table, test);
  const search = grid.lines.length + grid.columns.length <= SEARCHED;
  const found: Rectangle<L>[] = [];
  let left = grid.lines.filter(({ cells }) => cells !== 0n);
  while (left.length > 0) {
    const cells = search ? bestCells(left, grid) : (left[0]?.cells ?? 0n);
    const taken = left.filter((line) => holds(line, cells, grid));
    found.push(rectangle(taken, cells, grid, test));
    left = left.flatMap((line) => {
      if (!taken.includes(line)) return [line];
      const rest = line.cells & ~cells;
      return rest === 0n ? [] : [{ ...line, cells: rest }];
    });
  }
  return found;
}

function gridOf<L>(table: FlowTable<L>, test: (label: L) => boolean): Grid<L> {
  const rows = ([4, 6] as const).flatMap((family) =>
    [...rowsOf(table[family], family)]
      .map(([row, ranges]) => ({ family, row, ranges, spans: spansWith(row, test) }))
      .filter(({ spans }) => spans.length > 0),
  );
  const columns = cutColumns([...rows.map(({ spans }) => spans), LINE[4], LINE[6]]);
  const lines = rows.map(({ spans, ...rest }) => ({ ...rest, cells: bitsOfSpans(spans, columns) }));
  return { columns, lines, exists: { 4: bitsOfSpans(LINE[4], columns), 6: bitsOfSpans(LINE[6], columns) } };
}

const spansWith = <L>(row: Row<L>, test: (label: L) => boolean): Span[] =>
  mergeSpans(row.filter(({ label }) => test(label)));

/** The longest spans that lie wholly inside or wholly outside of each span of each list. */
function cutColumns(lists: readonly (readonly Span[])[]): Span[] {
  const cuts = new Set(lists.flatMap((spans) => spans.flatMap(({ first, last }) => [first, last + 1])));
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((first, index) => ({ first, last: (sorted[index + 1] ?? first) - 1 }));
}

function bitsOfSpans(spans: readonly Span[], columns: readonly Span[]): bigint {
  let bits = 0n;
  let index = 0;
  for (const [column, { first }] of columns.entries()) {
    while ((spans[index]?.last ?? first) < first) index += 1;
    if ((spans[index]?.first ?? first + 1) <= first) bits |= 1n << BigInt(column);
  }
  return bits;
}

/** Whether the line has all of the cells that exist in its family, and at least one. */
function holds<L>({ family, cells }: Line<L>, wanted: bigint, { exists }: Grid<L>): boolean {
  const real = wanted & exists[family];
  return real !== 0n && (real & ~cells) === 0n;
}

function bestCells<L>(lines: readonly Line<L>[], grid: Grid<L>): bigint {
  let best = 0n;
  let most = 0;
  for (const cells of new Set([...wholeLines(lines, grid), ...wholeColumns(lines, grid)])) {
    const covered = lines
      .filter((line) => holds(line, cells, grid))
      .reduce((sum, { family }) => sum + countBits(cells & grid.exists[family]), 0);
    if (covered > most) [best, most] = [cells, covered];
  }
  return best;
}

/** What one line has; with it what a line of the other family has, where they agree on what both families know. */
function wholeLines<L>(lines: readonly Line<L>[], { exists }: Grid<L>): bigint[] {
  const both = exists[4] & exists[6];
  const alone = lines.map(({ cells }) => cells);
  const four = lines.filter(({ family }) => family === 4);
  const six = lines.filter(({ family }) => family === 6);
  const paired = four.flatMap((line) =>
    six.filter(({ cells }) => (cells & both) === (line.cells & both)).map(({ cells }) => cells | line.cells),
  );
  return [...alone, ...paired];
}

/** For each column the lines that have it, and then all that those have in common. */
function wholeColumns<L>(lines: readonly Line<L>[], { columns, exists }: Grid<L>): bigint[] {
  return columns.flatMap((_, column) => {
    const bit = 1n << BigInt(column);
    const having = lines.filter(({ cells }) => (cells & bit) !== 0n);
    if (having.length === 0) return [];
    const known = having.reduce((all, { family }) => all | exists[family], 0n);
    return [having.reduce((common, { cells, family }) => common & (cells | ~exists[family]), known)];
  });
}

function countBits(bits: bigint): number {
  let count = 0;
  for (let left = bits; left !== 0n; left &= left - 1n) count += 1;
  return count;
}

function rectangle<L>(
  lines: readonly Line<L>[],
  cells: bigint,
  { columns }: Grid<L>,
  test: (label: L) => boolean,
): Rectangle<L> {
  const services = mergeSpans(columns.filter((_, column) => (cells & (1n << BigInt(column))) !== 0n));
  const of = (family: Family): AddressRange[] =>
    mergeRanges(lines.filter((line) => line.family === family).flatMap(({ ranges }) => ranges));
  const labels = new Set<L>();
  for (const { row } of lines) for (const label of labelsIn(row, services)) if (test(label)) labels.add(label);
  return { peers: { 4: of(4), 6: of(6) }, services, labels: [...labels] };
}

function* labelsIn<L>(row: Row<L>, services: readonly Span[]): Generator<L> {
  let index = 0;
  for (const { first, last, label } of row) {
    while ((services[index]?.last ?? first) < first) index += 1;
    if ((services[index]?.first ?? last + 1) <= last) yield label;
  }
}
