/** Turns a burst of keys into one call with the distinct ones. */

export interface Coalescer {
  add(key: string): void;
  /** Forgets what is pending. */
  close(): void;
}

/**
 * `flush` gets the distinct keys `windowMs` after the first of them. The window is not prolonged by later keys: a file
 * that is written all the time must be told of too, with a bounded delay.
 */
export function coalesce(windowMs: number, flush: (keys: ReadonlySet<string>) => void): Coalescer {
  let pending = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const run = () => {
    const keys = pending;
    pending = new Set();
    timer = undefined;
    flush(keys);
  };
  return {
    add(key) {
      pending.add(key);
      timer ??= setTimeout(run, windowMs);
    },
    close() {
      clearTimeout(timer);
      timer = undefined;
      pending.clear();
    },
  };
}
