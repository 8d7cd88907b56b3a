/** How long a reading of the kernel may keep others waiting: one that hangs, or fails, holds up no container's start. */
import { orUnread, Unread } from '../commands/reading.ts';
import { type Log, messageOf } from '../log.ts';
import type { Timers } from '../timers.ts';
import type { DirtyParts } from './dirty.ts';

const GRACE_MS = { first: 1_000, most: 60_000 };
const RETRY_MS = { first: 200, most: 30_000 };
/** So that what it would find doesn't stay for longer than this. */
const MOST_PAUSE_MS = 5_000;
const LOOK_MS = 10;

/** Who waits for a reading to be over: the rules that somebody took away, or a container. */
export type Waiting = 'nobody' | 'container' | 'rules';

/** What couldn't be read, and stands as it was known before. */
export interface UnreadReading {
  readonly what: string;
  /** ISO 8601 in UTC. */
  readonly since: string;
  /** Of the last time. */
  readonly why: string;
}

/** Whether a container, or a policy of one, waits for it. */
export const concernsContainers = ({ config, configs, runtimes, policies }: DirtyParts): boolean =>
  config || configs.size > 0 || runtimes.size > 0 || (policies !== 'all' && policies.size > 0);

export interface PatienceOptions {
  /** What is read. */
  readonly what: string;
  readonly log: Log;
  readonly timers: Timers;
  readonly onUnread: () => void;
  /** How long the first one may keep others waiting; less for what may be made again at any time. */
  readonly graceMs?: number;
  /** It is to be read again. */
  readonly again: () => void;
}

/**
 * Each reading that is put aside leaves the next one twice the time, so that one that is only slow comes to its end however
 * many containers start meanwhile. One that does hang fails by its own limit, and the next one has the first one's time again.
 */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #firstMs: number;
  #graceMs: number;
  #retryMs = RETRY_MS.first;
  #isPause = false;
  #forWhom: Waiting = 'nobody';
  #unread: UnreadReading | undefined;
  #look: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#firstMs = options.graceMs ?? GRACE_MS.first;
    this.#graceMs = this.#firstMs;
  }

  /** `undefined` while readings come to their end. */
  get unread(): UnreadReading | undefined {
    return this.#unread;
  }

  /** A reading begins. @returns what puts it aside once somebody waits too long for it; in the pause after another, at once. */
  begin(whoWaits: () => Waiting): AbortSignal {
    const { what } = this.#options;
    const controller = new AbortController();
    this.#signal = controller.signal;
    if (this.#isPause) controller.abort(new Unread(`${what}: in a pause`));
    const begin = performance.now();
    this.#look = setInterval(() => {
      const waiting = whoWaits();
      if (waiting === 'nobody' || performance.now() - begin < this.#graceFor(waiting)) return;
      clearInterval(this.#look);
      this.#forWhom = waiting;
      controller.abort(new Unread(`${what}: put aside`));
    }, LOOK_MS);
    return controller.signal;
  }

  /** It came to its end, or `unread` says why it didn't. */
  end(unread: Unread | undefined): void {
    const isPutAside = this.#signal?.aborted === true;
    this.stop();
    if (this.#isPause) return;
    if (unread === undefined) {
      this.#unread = undefined;
      this.#graceMs = this.#firstMs;
      this.#retryMs = RETRY_MS.first;
    } else if (isPutAside) {
      const why = this.#forWhom === 'rules' ? 'the rules are gone' : 'a container waits';
      // Once is nothing: a container starts while all is compared, and all is compared once it has started.
      const severity = this.#unread === undefined ? 'info' : 'warning';
      this.#pause(severity, `${why}, and it is put aside`, Math.min(this.#graceMs, MOST_PAUSE_MS));
      this.#graceMs = Math.min(2 * this.#graceMs, GRACE_MS.most);
    } else {
      this.#pause('error', messageOf(unread), this.#retryMs);
      this.#graceMs = this.#firstMs;
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.most);
    }
  }

  /** What the last one was to find out is known by other means; without effect while one is at work. */
  settle(): void {
    if (this.#signal === undefined) this.end(undefined);
  }

  /** The reading is over, whatever came of it. */
  stop(): void {
    clearInterval(this.#look);
    this.#signal = undefined;
  }

  /** @returns `undefined` where it is to be read again. */
  async read<T extends object>(
    whoWaits: () => Waiting,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const signal = this.begin(whoWaits);
    try {
      const found = await orUnread(() => read(signal));
      const unread = found instanceof Unread ? found : undefined;
      this.end(unread);
      return found instanceof Unread ? undefined : found;
    } finally {
      this.stop();
    }
  }

  /** Rules that are gone don't wait for the first one at all; who takes them away all the time still lets one come to its end. */
  #graceFor(waiting: Waiting): number {
    return waiting === 'rules' ? this.#graceMs - this.#firstMs : this.#graceMs;
  }

  #pause(severity: 'info' | 'warning' | 'error', why: string, ms: number): void {
    const { what, log, timers, onUnread, again } = this.#options;
    log(severity, `${what}: ${why}; again in ${ms} ms`);
    this.#unread = { what, since: this.#unread?.since ?? new Date().toISOString(), why };
    this.#isPause = true;
    onUnread();
    timers.after(ms, () => {
      this.#isPause = false;
      again();
    });
  }
}
