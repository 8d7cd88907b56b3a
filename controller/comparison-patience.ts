/** How long a comparison with the kernel may keep others waiting: one that hangs holds up no container's start. */
import type { DirtyParts } from './dirty.ts';
import type { Log } from './log.ts';
import type { Timers } from './timers.ts';

const GRACE_MS = { first: 1_000, most: 60_000 };
/** Nothing that a comparison would find stays longer than this. */
const MOST_PAUSE_MS = 5_000;
const LOOK_MS = 50;

/** Whether a container, or a policy of one, waits for it. */
export const concernsContainers = ({ config, configs, runtimes, policies }: DirtyParts): boolean =>
  config || configs.size > 0 || runtimes.size > 0 || (policies !== 'all' && policies.size > 0);

/**
 * Each time that one is put aside the next one has twice the time, so that one that is only slow comes to its end however
 * many containers start meanwhile. One that does hang is given up by its own limit, and then it begins anew.
 */
export class ComparisonPatience {
  #graceMs = GRACE_MS.first;
  #timer: NodeJS.Timeout | undefined;

  readonly #log: Log;
  readonly #timers: Timers;
  readonly #again: () => void;

  constructor(log: Log, timers: Timers, again: () => void) {
    this.#log = log;
    this.#timers = timers;
    this.#again = again;
  }

  /** A comparison begins. @returns what puts it aside once somebody waits too long for it. */
  begin(isAwaited: () => boolean): AbortSignal {
    const controller = new AbortController();
    const until = performance.now() + this.#graceMs;
    this.#timer = setInterval(() => {
      if (performance.now() < until || !isAwaited()) return;
      this.#stop();
      controller.abort(new Error('the comparison with the kernel is put aside'));
    }, LOOK_MS);
    return controller.signal;
  }

  /** It was put aside, or came to an end of its own; in the pause before the next one nobody waits for any. */
  end(isPutAside: boolean): void {
    this.#stop();
    const pauseMs = Math.min(this.#graceMs, MOST_PAUSE_MS);
    this.#graceMs = isPutAside ? Math.min(2 * this.#graceMs, GRACE_MS.most) : GRACE_MS.first;
    if (!isPutAside) return;
    this.#log('warning', `a container waits: the comparison with the kernel is put aside, again in ${pauseMs} ms`);
    this.#timers.after(pauseMs, this.#again);
  }

  #stop(): void {
    clearInterval(this.#timer);
  }
}
