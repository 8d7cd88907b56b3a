/** Problems with their place; on a terminal with the line that they are about. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatProblem, isError, type Problem } from '../../policies/problem.ts';
import type { Colours, Stream } from './io.ts';

/** Problems name policy files relative to their folder; `folder` as the user wrote it. */
export const shownPath = (file: string, folder: string): string => (file.startsWith('/') ? file : join(folder, file));

export const placeProblems = (problems: readonly Problem[], folder: string): Problem[] =>
  problems.map((problem) => ({ ...problem, file: shownPath(problem.file, folder) }));

export interface PrintOptions {
  /** Lines are looked up from here; `process.cwd()` unless told. */
  readonly resolve?: (file: string) => string;
}

export function printProblems(
  stream: Stream,
  colours: Colours,
  problems: readonly Problem[],
  { resolve = (file) => file }: PrintOptions = {},
): void {
  for (const problem of problems) {
    const { file, line, column, message, severity } = problem;
    if (!stream.isTerminal) {
      stream.write(`${formatProblem(problem)}\n`);
      continue;
    }
    const word = isError(problem) ? colours.red(severity) : colours.yellow(severity);
    stream.write(`${colours.bold(`${file}:${line}:${column}:`)} ${word}: ${message}\n`);
    stream.write(excerpt(problem, resolve(file), colours));
  }
}

/** The line, and a caret under the column; tabs are kept, so that the caret stands where it should. */
function excerpt({ line, column }: Problem, file: string, colours: Colours): string {
  const text = lineOf(file, line);
  if (text === undefined || text.trim() === '') return '';
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, ' ');
  const gutter = String(line).padStart(5);
  return `${colours.dim(`${gutter} | `)}${text}\n${colours.dim('      | ')}${indent}${colours.green('^')}\n`;
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1]?.replace(/\r$/, '');
  } catch {
    // The problem may be that it can't be read; the place alone has to do then.
    return undefined;
  }
}

export function summarize(problems: readonly Problem[]): string {
  const errors = problems.filter(isError).length;
  const warnings = problems.length - errors;
  return [plural(errors, 'error'), plural(warnings, 'warning')].join(', ');
}

export const plural = (count: number, noun: string): string =>
  `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
