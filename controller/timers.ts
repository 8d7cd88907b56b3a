/** Timers that end together. */
export interface Timers {
  after(ms: number, action: () => void): void;
  every(ms: number, action: () => void): void;
  stop(): void;
}

export function createTimers(): Timers {
  const running = new Set<NodeJS.Timeout>();
  return {
    after: (ms, action) => {
      const timer = setTimeout(() => {
        running.delete(timer);
        action();
      }, ms);
      running.add(timer);
    },
    every: (ms, action) => void running.add(setInterval(action, ms)),
    stop: () => {
      for (const timer of running) clearTimeout(timer);
      running.clear();
    },
  };
}
