/** Keeps the status file up to date, at a pace that leaves passes their time. */
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { type Log, messageOf } from '../log.ts';
import { writeStatusFile } from './status-file.ts';
import type { StatusFile } from './status-shape.ts';

export interface StatusWriterOptions<Source extends object> {
  readonly runDirectory: string;
  readonly log: Log;
  /** What the status is to tell of now; another object once that is something else. */
  readonly latest: () => Source | undefined;
  readonly describe: (source: Source) => Promise<StatusFile>;
}

/** The status file is for people and rare readers: a burst of passes writes it at most this often. */
const STATUS_MS = 300;
const PAUSE_PER_COST = 10;
/** Readers without a bus get nothing newer than the file. */
const MOST_PAUSE_MS = 2_000;

export class StatusWriter<Source extends object> {
  readonly #options: StatusWriterOptions<Source>;
  #writing: Promise<void> | undefined;
  readonly #retryTimes = createRetryTimes();
  #retry: NodeJS.Timeout | undefined;
  #complaint: string | undefined;

  constructor(options: StatusWriterOptions<Source>) {
    this.#options = options;
  }

  /** Writes what is the latest now, soon. */
  request(): void {
    this.#writing ??= this.#write();
  }

  /** Until the latest is written, or was refused. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { latest } = this.#options;
    clearTimeout(this.#retry);
    for (let written = latest(); written !== undefined; written = latest()) {
      const begin = performance.now();
      await this.#tryToWrite(written);
      if (latest() === written) break;
      // All containers stand in it: with thousands, writing it at each event would keep the next one waiting.
      const pause = Math.max(STATUS_MS, Math.min(PAUSE_PER_COST * (performance.now() - begin), MOST_PAUSE_MS));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    this.#writing = undefined;
  }

  async #tryToWrite(source: Source): Promise<void> {
    const { runDirectory, log, describe } = this.#options;
    try {
      await writeStatusFile(runDirectory, await describe(source));
      this.#retryTimes.reset();
      this.#complaint = undefined;
    } catch (cause) {
      const message = messageOf(cause);
      // It may go on failing in the same way for hours.
      if (message !== this.#complaint) log('warning', `status file: ${message}; it tells what was before`);
      this.#complaint = message;
      this.#tryAgain();
    }
  }

  /** What it tells would be wrong until the next pass, which may be long in coming. The daemon's end doesn't wait for it. */
  #tryAgain(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.request(), this.#retryTimes.next()).unref();
  }
}
