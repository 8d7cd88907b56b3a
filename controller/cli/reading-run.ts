/** Commands that only read, of which one of ours may ask a dozen. */
import { type ForkServer, openForkServer } from '../commands/fork-server.ts';
import { type Run, run, startTalker, streamLines } from '../commands/run.ts';

export interface ReadingRun {
  readonly run: Run;
  stop(): void;
}

/**
 * By a small process, as in the daemon: it takes what they write however busy this one is. nft would wait in the middle of its
 * words, and wake us with each. The process begins with the first command.
 */
export function openReadingRun(): ReadingRun {
  let forks: ForkServer | undefined;
  return {
    run: (...asked) => {
      forks ??= openForkServer(startTalker, { run, stream: streamLines });
      return forks.run(...asked);
    },
    stop: () => forks?.stop(),
  };
}
