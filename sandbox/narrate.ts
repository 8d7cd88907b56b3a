/** Tells on the terminal what the sandbox does; plain text when piped. */
import pc from 'picocolors';

/** The title of a step. */
export function tellStep(title: string): void {
  console.log(`\n${pc.bold(pc.cyan(`== ${title}`))}`);
}

export function tell(text: string): void {
  console.log(text);
}

/** A command that the reader could have typed, and what it printed. */
export function tellCommand(command: string, output: string): void {
  console.log(pc.dim(`$ ${command}`));
  for (const line of output.trimEnd().split('\n')) console.log(`  ${colourDiff(line)}`);
}

/** A claim with what was found, and whether it holds. */
export function tellCheck(claim: string, holds: boolean): void {
  console.log(`${holds ? pc.green('ok   ') : pc.red('WRONG')} ${claim}`);
}

const WIDTHS = [11, 11, 23, 9] as const;

/** A row of the table of attempts: from, to, service, outcome, verdict and reason. */
export function tellRow(cells: readonly string[], { outcome, agrees }: { outcome: string; agrees: boolean }): void {
  const padded = cells.map((cell, column) => cell.padEnd(WIDTHS[column] ?? 0));
  const [from = '', to = '', service = '', found = '', why = ''] = padded;
  const mark = agrees ? ' ' : pc.red('≠');
  console.log(`${from} ${to} ${service} ${colourOutcome(found, outcome)} ${mark} ${pc.dim(why)}`);
}

export function tellTableHead(): void {
  const titles = ['from', 'to', 'service', 'found', '  the policy line that decided'];
  console.log(pc.bold(titles.map((title, column) => title.padEnd(WIDTHS[column] ?? 0)).join(' ')));
}

function colourOutcome(text: string, outcome: string): string {
  if (outcome === 'allowed') return pc.green(text);
  return outcome === 'refused' ? pc.yellow(text) : pc.red(text);
}

function colourDiff(line: string): string {
  if (line.startsWith('+')) return pc.green(line);
  return line.startsWith('-') ? pc.red(line) : line;
}
