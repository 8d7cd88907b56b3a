/** Keeps the file of addresses in use up to date: what the disk refuses is written again, soon and then ever more rarely. */
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { type Log, messageOf } from '../log.ts';
import type { Taken } from './taken-file.ts';

export interface TakenKeeperOptions {
  readonly log: Log;
  /** For other processes. @throws Error */
  readonly write: (taken: Taken) => void;
}

export class TakenKeeper {
  readonly #options: TakenKeeperOptions;
  readonly #retryTimes = createRetryTimes();
  #retry: NodeJS.Timeout | undefined;
  #complaint: string | undefined;

  constructor(options: TakenKeeperOptions) {
    this.#options = options;
  }

  /** In the place of what was to be kept before. */
  keep(taken: Taken): void {
    clearTimeout(this.#retry);
    try {
      this.#options.write(taken);
      this.#retryTimes.reset();
      this.#complaint = undefined;
    } catch (cause) {
      this.#complain(messageOf(cause));
      // A command would go by what was in use before, for as long as nobody comes or goes on the link.
      this.#retry = setTimeout(() => this.keep(taken), this.#retryTimes.next());
    }
  }

  stop(): void {
    clearTimeout(this.#retry);
  }

  /** It may go on failing in the same way for hours. */
  #complain(complaint: string): void {
    if (complaint !== this.#complaint)
      this.#options.log('warning', `addresses in use can't be kept for commands: ${complaint}`);
    this.#complaint = complaint;
  }
}
