/** When to make a comparison that is due, or was put aside: where a look finds something wrong, and while nobody starts. */
import type { Wrong } from '../pass/resync-look.ts';
import type { Timers } from '../timers.ts';

/** So long no container has started. */
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
  /** A look is at work, or what it found waits for a quiet moment. */
  #isAtIt = false;
  /** An event asked for the look: what it finds doesn't wait for a quiet moment. */
  #isUrgent = false;
  /** One did while a look was at work, which may have missed what it is about. */
  #isAskedAgain = false;
  /** How many looks were due; of those, up to which one a look has begun, and up to which one a look has ended. */
  #due = 0;
  #looked = 0;
  #found = 0;
  /** Something is wrong, and no pass has compared to its end since. */
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

  /** A pass put its comparison aside. Made by the next ones, it would be in the way of each start until it comes to its end. */
  retry(): void {
    if (this.#isWrong) this.#options.request('kernel');
    else this.#lookNow();
  }

  /** Events were lost: of what happened meanwhile, if anything did, none will tell. */
  noteUntold(): void {
    this.#noteDue();
    this.#lookNow();
  }

  /** Looks wait for passes, which somebody may keep going: not for ever. */
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

  /** Whether a pass leaves its comparison to the next one, since a container waits for it. Not for ever: one may always start. */
  postpones(isForStart: boolean): boolean {
    const now = performance.now();
    const since = this.#postponedAt ?? now;
    const isPostponed = isForStart && now - since < QUIET_MS;
    this.#postponedAt = isPostponed ? since : undefined;
    return isPostponed;
  }

  /** Beside the passes, since a look at thousands of links and files takes a busy machine its time. */
  async #look(): Promise<void> {
    if (this.#isAtIt) return;
    this.#isAtIt = true;
    const begin = performance.now();
    let wrong = await this.#find();
    // What a stopping container takes along is missing before any event tells of it: wrong is only what two looks find.
    if ((wrong !== undefined && wrong !== 'anything') || this.#isAskedAgain) wrong = await this.#find();
    this.#found = this.#looked;
    if (wrong !== undefined) return this.#requestWhenQuiet(begin, wrong);
    this.#isAtIt = false;
    this.#options.onSame(performance.now() - begin);
    this.#isUrgent = this.#isAskedAgain;
    if (this.#isAskedAgain) void this.#look();
  }

  /** Why a look fails is for the pass to find. */
  async #find(): Promise<Wrong | undefined> {
    this.#isAskedAgain = false;
    this.#looked = this.#due;
    return await this.#options.findWrong().catch((): Wrong => 'anything');
  }

  /**
   * Among thousands of containers a comparison takes seconds, for which all that start would wait. So drift that no event told of
   * waits for a quiet moment, half a period at most. What an event told of doesn't: starting containers could keep it for ever.
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
