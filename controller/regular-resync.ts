/** When a comparison is made that no event asked for, or that one asked for in vain: where something is wrong, and not before a start. */
import type { Wrong } from './resync-look.ts';
import type { Timers } from './timers.ts';

/** So long nobody has started. */
const QUIET_MS = 1_000;

interface RegularResyncOptions {
  readonly timers: Timers;
  readonly periodMs: number;
  /** Whether files, links and kernel are as they shall be, found out beside passes; `undefined`: they are. */
  readonly findWrong: () => Promise<Wrong | undefined>;
  readonly onSame: (tookMs: number) => void;
  /** It is to be read again and compared, by a pass. */
  readonly request: (wrong: Wrong) => void;
}

export class RegularResync {
  readonly #options: RegularResyncOptions;
  #isAtIt = false;
  /** An event asked for it; and behind the back of the look that is at work. */
  #isUrgent = false;
  #isAskedAgain = false;
  /** How often a look was due; for how many of them one has begun, and for how many one has ended. */
  #due = 0;
  #looked = 0;
  #found = 0;
  /** Something is, and no pass has compared to its end since. */
  #isWrong = false;
  #startedAt = Number.NEGATIVE_INFINITY;
  #postponedAt: number | undefined;

  constructor(options: RegularResyncOptions) {
    this.#options = options;
  }

  begin(): void {
    const { timers, periodMs } = this.#options;
    timers.every(periodMs, () => {
      this.#noteDue();
      void this.#look();
    });
  }

  /** Some container starts or stops. */
  noteStart(): void {
    this.#startedAt = performance.now();
  }

  /** A comparison has to be made, whatever a look may find. */
  noteWrong(): void {
    this.#isWrong = true;
  }

  noteCompared(): void {
    this.#isWrong = false;
  }

  /** That of a pass was put aside: made by the next ones, it would be in the way of each start until it comes to its end. */
  retry(): void {
    if (this.#isWrong) this.#options.request('kernel');
    else this.#lookNow();
  }

  /** Nobody told of what happened meanwhile, if anything did. */
  noteUntold(): void {
    this.#noteDue();
    this.#lookNow();
  }

  /** Somebody may keep passes going, and looks wait for those: not for ever. */
  #noteDue(): void {
    const { timers, periodMs, request } = this.#options;
    this.#due += 1;
    const own = this.#due;
    timers.after(periodMs / 2, () => {
      if (this.#found < own) request('anything');
    });
  }

  #lookNow(): void {
    this.#isUrgent = this.#isAskedAgain = true;
    void this.#look();
  }

  /** Of a pass that is to compare, `isForStart`: whether that is left to the next one. Not for ever: somebody may always start. */
  letsPass(isForStart: boolean): boolean {
    const now = performance.now();
    const since = this.#postponedAt ?? now;
    const lets = isForStart && now - since < QUIET_MS;
    this.#postponedAt = lets ? since : undefined;
    return lets;
  }

  /** Beside the passes, since a look at thousands of links and files takes a busy machine its time. */
  async #look(): Promise<void> {
    if (this.#isAtIt) return;
    this.#isAtIt = true;
    const begin = performance.now();
    let wrong = await this.#find();
    // What a container that stops takes along is missed before anybody tells of it, and only what stays so is wrong.
    if ((wrong !== undefined && wrong !== 'anything') || this.#isAskedAgain) wrong = await this.#find();
    this.#found = this.#looked;
    if (wrong !== undefined) return this.#requestWhenQuiet(begin, wrong);
    this.#isAtIt = false;
    this.#options.onSame(performance.now() - begin);
    this.#isUrgent = this.#isAskedAgain;
    if (this.#isAskedAgain) void this.#look();
  }

  /** Why it can't be told is for the pass to find. */
  async #find(): Promise<Wrong | undefined> {
    this.#isAskedAgain = false;
    this.#looked = this.#due;
    return await this.#options.findWrong().catch((): Wrong => 'anything');
  }

  /**
   * Among thousands it takes seconds, for which all who start would wait. What drifted unseen waits half a period at most; what was
   * told of doesn't wait: somebody may always start so that it stays.
   */
  #requestWhenQuiet(since: number, wrong: Wrong): void {
    const { timers, periodMs, request } = this.#options;
    const now = performance.now();
    if (!this.#isUrgent && now - this.#startedAt < QUIET_MS && now - since < periodMs / 2) {
      timers.after(QUIET_MS / 4, () => this.#requestWhenQuiet(since, wrong));
      return;
    }
    this.#isAtIt = this.#isUrgent = false;
    this.#isWrong = true;
    request(this.#found < this.#due ? 'anything' : wrong);
    this.#found = this.#due;
  }
}
