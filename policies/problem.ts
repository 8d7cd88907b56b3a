/** A user's mistake as data: where it is, what it is, and what would be right. */

export type Severity = 'error' | 'warning';

/** `file` is relative to the policy folder (`containers/web.yaml`); `line` and `column` count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly severity: Severity;
}

/** `FILE:LINE:COLUMN: error: MESSAGE`, with the file below `folder` where one is given. */
export function formatProblem({ file, line, column, message, severity }: Problem, folder?: string): string {
  const path = folder === undefined || file.startsWith('/') ? file : `${folder.replace(/\/+$/, '')}/${file}`;
  // Keys and names may hold anything; a line feed or an escape sequence must not reach a log or a terminal.
  return `${path}:${line}:${column}: ${severity}: ${message}`.replace(/\p{Cc}/gu, '?');
}

export const isError = (problem: Problem): boolean => problem.severity === 'error';

/** Each problem once, by file and place: a shared file's problem reaches every policy that uses it. */
export function uniqueProblems(problems: Iterable<Problem>): Problem[] {
  const unique = new Map<string, Problem>();
  for (const problem of problems) unique.set(formatProblem(problem), problem);
  return [...unique.values()].sort(compareProblems);
}

function compareProblems(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  if (a.line !== b.line) return a.line - b.line;
  if (a.column !== b.column) return a.column - b.column;
  return a.message < b.message ? -1 : 1;
}
