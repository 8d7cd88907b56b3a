/** What every file that declares commands needs. */
import type { Invocation } from './options.ts';

/** Runs the command with the shared options as they stand on the line. */
export type Act = (work: (invocation: Invocation) => Promise<number>) => Promise<void>;

export const example = (...lines: readonly string[]): string =>
  `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
