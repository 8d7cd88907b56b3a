/** Timers that end together; what is set behind the end, as by a pass that was under way, is none. */
export interface Timers {
  after(ms: number, action: () => void): void;
  every(ms: number, action: () => void): void;
  stop(): void;
}

export function createTimers(): Timers {
  const running = new Set<NodeJS.Timeout>();
  let isStopped = false;
  return {
    after: (ms, action) => {
      if (isStopped) return;
      const timer = setTimeout(() => {
        running.delete(timer);
        action();
      }, ms);
      running.add(timer);
    },
    every: (ms, action) => {
      if (!isStopped) running.add(setInterval(action, ms));
    },
    stop: () => {
      isStopped = true;
      for (const timer of running) clearTimeout(timer);
      running.clear();
    },
  };
}
