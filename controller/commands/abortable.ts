/** Reading that can be put aside, where somebody can't wait for it: its commands are killed, and nothing was written. */
import type { Run } from './run.ts';

/** As `run`, each command until then. For commands that only read: one that is killed may have done the half of it. */
export const abortable = (run: Run, signal: AbortSignal | undefined): Run =>
  signal === undefined ? run : (command, args, options) => run(command, args, { ...options, signal });

export const isAborted = (cause: unknown, signal: AbortSignal | undefined): boolean =>
  signal?.aborted === true && cause === signal.reason;

/** @returns `undefined` where it was put aside. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  reading: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await reading();
  } catch (cause) {
    if (isAborted(cause, signal)) return undefined;
    throw cause;
  }
}
