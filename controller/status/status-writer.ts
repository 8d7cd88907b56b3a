/** Keeps the status file up to date, at a pace that leaves passes their time. */
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

  constructor(options: StatusWriterOptions<Source>) {
    this.#options = options;
  }

  /** Writes what is the latest now, soon. */
  request(): void {
    this.#writing ??= this.#write();
  }

  /** Until the latest is written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { runDirectory, log, latest, describe } = this.#options;
    for (let written = latest(); written !== undefined; written = latest()) {
      const begin = performance.now();
      try {
        await writeStatusFile(runDirectory, await describe(written));
      } catch (cause) {
        log('warning', `status file: ${messageOf(cause)}`);
      }
      if (latest() === written) break;
      // All containers stand in it: with thousands, writing it at each event would keep the next one waiting.
      const pause = Math.max(STATUS_MS, Math.min(PAUSE_PER_COST * (performance.now() - begin), MOST_PAUSE_MS));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    this.#writing = undefined;
  }
}
