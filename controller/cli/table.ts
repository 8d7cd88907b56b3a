/** Text in columns. */

/** Colour codes take no place on the screen. */
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');

const width = (text: string): number => [...text.replace(COLOUR, '')].length;

/** Cells are padded to their column's width, the last of a row is not. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, width(cell));
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => `${cell}${' '.repeat((widths[index] ?? 0) - width(cell))}`)
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}
