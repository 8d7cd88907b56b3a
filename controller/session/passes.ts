/** The passes of a session, one at a time: each takes what was marked until it begins, and one that failed is tried again. */

import { type Log, messageOf } from '../log.ts';
import {
  type DirtyParts,
  everythingDirty,
  isOfContainers,
  mergeDirty,
  nothingDirty,
  splitComparison,
} from '../pass/dirty.ts';
import type { Outcome } from '../pass/outcome.ts';
import { concernsContainers, type Waiting } from '../pass/patience.ts';
import type { Reconciler } from '../pass/reconcile.ts';
import type { Order } from '../revisions/revisions.ts';
import type { Timers } from '../timers.ts';
import { createPassQueue, type PassQueue } from './pass-queue.ts';
import type { SessionReadings } from './readings.ts';
import type { RegularResync } from './regular-resync.ts';
import { Waiters } from './waiters.ts';

export interface PassesOptions {
  readonly reconciler: Pick<Reconciler, 'reconcile'>;
  readonly readings: SessionReadings;
  readonly regular: RegularResync;
  readonly timers: Timers;
  readonly log: Log;
  /** Whether all sources have told what existed; passes wait until then. */
  readonly isReady: () => boolean;
  /** Whether all that is ours is there, as far as is known. */
  readonly isEnforced: () => boolean;
  /** Belongs to the pass: the next one begins afterwards. `began` by the clock of `performance.now()`. */
  readonly onOutcome: (outcome: Outcome, began: number) => Promise<void>;
  /** As in SessionOptions. */
  readonly onFailure: () => void;
  readonly onConfigChanged: () => void;
}

/** After a pass that failed: soon, then ever more rarely. */
const RETRY_MS = { first: 200, most: 30_000 };

/** Of many containers that stop at once, each would have a pass, in the way of LXC's own work. */
const LATER_MS = 40;

export class Passes {
  readonly #options: PassesOptions;
  readonly #queue: PassQueue;
  #dirty = everythingDirty();
  /** For the next pass. */
  #waiters = new Waiters();
  #retryMs = RETRY_MS.first;
  /** When the one that failed is tried again, by the clock of `performance.now()`. */
  #retryAt: number | undefined;
  #began: number | undefined;
  /** Something is marked that no pass was asked for yet. */
  #isLater = false;
  /** What callers get in the place of an outcome, since there will be none. */
  #ended: { readonly cause: unknown } | undefined;

  constructor(options: PassesOptions) {
    this.#options = options;
    this.#queue = createPassQueue(() => this.#pass());
  }

  /** What the next pass is to read again, to be marked in. Unlike `mark` it asks for no pass. */
  get dirty(): DirtyParts {
    return this.#dirty;
  }

  /** Since when the present pass runs, by the clock of `performance.now()`. */
  get began(): number | undefined {
    return this.#began;
  }

  /** No pass runs or is asked for, and the last one did not fail. */
  get isSettled(): boolean {
    return this.#queue.isIdle && !this.#isLater && this.#retryMs === RETRY_MS.first;
  }

  request(): void {
    if (this.#options.isReady()) this.#queue.request();
  }

  /** What is marked in it at once is read by the pass that this asks for. */
  readonly mark = (): DirtyParts => {
    this.request();
    return this.#dirty;
  };

  /** As `mark`, of what nobody waits for: some of it comes together, and any pass meanwhile takes it along. */
  readonly markLater = (): DirtyParts => {
    if (!this.#isLater) this.#options.timers.after(LATER_MS, () => this.#requestLate());
    this.#isLater = true;
    return this.#dirty;
  };

  #requestLate(): void {
    if (this.#isLater) this.request();
  }

  markEverything(): void {
    this.#dirty = mergeDirty(this.#dirty, everythingDirty());
  }

  /** @returns what the pass came to that carried the order out, or refused it. */
  async next(order?: Order): Promise<Outcome> {
    if (this.#ended !== undefined) throw this.#ended.cause;
    const outcome = this.#waiters.wait(order);
    this.request();
    return await outcome;
  }

  idle(): Promise<void> {
    this.#requestLate();
    return this.#queue.idle();
  }

  /** No further pass begins. */
  close(): void {
    this.#queue.close();
  }

  /** Callers that still wait, or come later, get this in the place of an outcome. */
  reject(cause: unknown): void {
    this.#ended = { cause };
    this.#waiters.reject(cause);
  }

  async #pass(): Promise<void> {
    const { reconciler, readings, regular, onConfigChanged, onOutcome } = this.#options;
    let dirty = this.#takeDirty();
    if (dirty.config) {
      onConfigChanged();
      return;
    }
    if (dirty.runtimes.size > 0) regular.noteStart();
    const waiters = this.#waiters;
    this.#waiters = new Waiters();
    const { order } = waiters;
    const isSplit = dirty.resync && regular.postpones(order === undefined && this.#mayCompareLater(dirty));
    if (isSplit) [dirty, this.#dirty] = splitComparison(dirty);
    const began = performance.now();
    this.#began = began;
    try {
      const whoWaits = (): Waiting => {
        if (this.#dirty.deleted) return 'rules';
        const isAwaited = !this.#waiters.isEmpty || [dirty, this.#dirty].some(concernsContainers);
        return isAwaited ? 'container' : 'nobody';
      };
      const join = (): DirtyParts | undefined => {
        const late = this.#takeLate(waiters);
        if (late !== undefined) dirty = mergeDirty(dirty, late);
        return late;
      };
      const outcome = await reconciler.reconcile(dirty, order, readings.begin(dirty.resync, whoWaits), join);
      readings.end(outcome);
      if (outcome.isCompared) regular.noteCompared();
      this.#retryMs = RETRY_MS.first;
      this.#retryAt = undefined;
      await onOutcome(outcome, began);
      waiters.resolve(outcome);
      // Behind a pass that fails, the comparison comes with the next try.
      if (isSplit) this.request();
    } catch (cause) {
      waiters.reject(cause);
      this.#retryLater(cause, dirty);
    } finally {
      this.#began = undefined;
    }
  }

  /** A container starts, and all that is ours is there. */
  #mayCompareLater(dirty: DirtyParts): boolean {
    return concernsContainers(dirty) && !dirty.deleted && this.#options.isEnforced();
  }

  /** A hook comes while its container's link is being read about: it need not wait for a pass of its own. */
  #takeLate(waiters: Waiters): DirtyParts | undefined {
    const late = this.#dirty;
    if (this.#waiters.order !== undefined || !isOfContainers(late)) return undefined;
    waiters.join(this.#waiters);
    return this.#takeDirty();
  }

  #takeDirty(): DirtyParts {
    const dirty = this.#dirty;
    this.#dirty = nothingDirty();
    this.#isLater = false;
    return dirty;
  }

  /** Those that events ask for meanwhile, and that fail as well, put the next try off no further. */
  #retryLater(cause: unknown, dirty: DirtyParts): void {
    const { readings, log, onFailure } = this.#options;
    readings.fail(cause);
    const now = performance.now();
    this.#retryAt ??= this.#scheduleRetry(now);
    log('error', `${messageOf(cause)}; trying again in ${Math.max(0, Math.round(this.#retryAt - now))} ms`);
    onFailure();
    this.#dirty = mergeDirty(this.#dirty, { ...dirty, resync: true });
  }

  #scheduleRetry(now: number): number {
    const ms = this.#retryMs;
    this.#options.timers.after(ms, () => {
      if (this.#retryAt === undefined) return;
      this.#retryAt = undefined;
      this.request();
    });
    this.#retryMs = Math.min(2 * ms, RETRY_MS.most);
    return now + ms;
  }
}
