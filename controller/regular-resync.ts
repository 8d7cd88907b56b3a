/** The resync that no event asked for: none where all is as it was, and not in the midst of starts. */
import type { Timers } from './timers.ts';

/** So long nobody has started. */
const QUIET_MS = 1_000;

interface RegularResyncOptions {
  readonly timers: Timers;
  readonly periodMs: number;
  /** Whether files, links and kernel are as they shall be, found out beside passes. */
  readonly isRight: () => Promise<boolean>;
  readonly onSame: (tookMs: number) => void;
  /** Everything is to be read again and compared. */
  readonly request: () => void;
}

export class RegularResync {
  readonly #options: RegularResyncOptions;
  #isAtIt = false;
  #startedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RegularResyncOptions) {
    this.#options = options;
  }

  begin(): void {
    const { timers, periodMs } = this.#options;
    timers.every(periodMs, () => void this.#look());
  }

  /** Some container starts or stops. */
  noteStart(): void {
    this.#startedAt = performance.now();
  }

  /** Beside the passes, since a look at thousands of links and files takes a busy machine its time. */
  async #look(): Promise<void> {
    const { isRight, onSame } = this.#options;
    if (this.#isAtIt) return;
    this.#isAtIt = true;
    const begin = performance.now();
    // Why it can't tell is for the pass to find.
    if (!(await isRight().catch(() => false))) return this.#requestWhenQuiet(begin);
    this.#isAtIt = false;
    onSame(performance.now() - begin);
  }

  /** Among thousands it takes seconds, for which all who start would wait; what drifted unseen waits half a period at most. */
  #requestWhenQuiet(since: number): void {
    const { timers, periodMs, request } = this.#options;
    const now = performance.now();
    if (now - this.#startedAt < QUIET_MS && now - since < periodMs / 2) {
      timers.after(QUIET_MS / 4, () => this.#requestWhenQuiet(since));
      return;
    }
    this.#isAtIt = false;
    request();
  }
}
