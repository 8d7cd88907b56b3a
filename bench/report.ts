/** How each bench tells its figures: a table on the terminal, and a file for the page of all results. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Curves over a number of containers, drawn on logarithmic axes. */
export interface Curves {
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly { readonly label: string; readonly points: readonly (readonly [number, number])[] }[];
}

export interface Report {
  readonly title: string;
  /** What the figures are, and of what; one paragraph. */
  readonly about: string;
  readonly command: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly curves?: readonly Curves[];
}

/** Prints it; with BENCH_REPORTS in the environment it also becomes a file in that folder. */
export async function report(name: string, told: Report): Promise<void> {
  const widths = told.columns.map((column, index) =>
    Math.max(column.length, ...told.rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  console.log(`\n${told.title}\n${told.about}\n\n${[told.columns, ...told.rows].map(line).join('\n')}`);
  const folder = process.env['BENCH_REPORTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), JSON.stringify({ ...told, at: new Date().toISOString() }));
}

/** Of any order; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Half of the distance between the quartiles, in percent of the median. */
export const spread = (values: readonly number[]): string =>
  `±${((100 * (quantile(values, 0.75) - quantile(values, 0.25))) / 2 / median(values)).toFixed(0)} %`;
