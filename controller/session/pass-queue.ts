/** One pass at a time: marks that come while one runs are drained by the next, which begins right after it. */

export interface PassQueue {
  /** Asks for a pass; many requests before it begins are one. */
  request(): void;
  /** Resolves once no pass runs and none is asked for. */
  idle(): Promise<void>;
  /** No pass runs, and none is asked for. */
  readonly isIdle: boolean;
  /** No further pass begins. */
  close(): void;
}

/** `pass` never throws: what it can't do, it asks for again. */
export function createPassQueue(pass: () => Promise<void>): PassQueue {
  let requested = false;
  let running: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    while (requested && !closed) {
      // Events that are already waiting in the loop join this pass.
      await new Promise((resolve) => setImmediate(resolve));
      if (closed) break;
      requested = false;
      await pass();
    }
    running = undefined;
  }

  return {
    request: () => {
      requested = true;
      if (!closed) running ??= drain();
    },
    idle: async () => {
      while (running !== undefined) await running;
    },
    get isIdle() {
      return running === undefined;
    },
    close: () => {
      closed = true;
    },
  };
}
