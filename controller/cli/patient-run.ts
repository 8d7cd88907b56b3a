/** Commands that one answer takes, all of them together for so long. */
import type { Run } from '../commands/run.ts';

export interface PatientRun {
  readonly run: Run;
  /** From now on. The first one without an answer by then is what all fail by. @returns what takes the limit off again. */
  limit(seconds: number): () => void;
}

export function patientRun(run: Run): PatientRun {
  const patience = new AbortController();
  const { signal } = patience;
  let silent: Error | undefined;
  return {
    run: async (command, args, options) => {
      try {
        return await run(command, args, { ...options, signal });
      } catch (cause) {
        if (!signal.aborted || cause !== signal.reason) throw cause;
        silent ??= new Error(`${command}: ${signal.reason}`);
        throw silent;
      }
    },
    limit: (seconds) => {
      const timer = setTimeout(() => patience.abort(`no answer within ${seconds} s`), seconds * 1000);
      return () => clearTimeout(timer);
    },
  };
}
