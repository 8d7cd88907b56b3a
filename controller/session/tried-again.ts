/** What the disk or the kernel refused is tried again, soon and then ever more rarely: no event tells that it would be taken. */
import type { Timers } from '../timers.ts';

interface TriedAgain {
  readonly timers: Timers;
  /** Asked all the time. */
  readonly isRefused: () => boolean;
  /** Asks for a pass: any one tries again. */
  readonly request: () => void;
}

const LOOK_MS = 2_000;
const MOST_MS = 60_000;

export function tryAgain({ timers, isRefused, request }: TriedAgain): void {
  let pauseMs = 0;
  let nextMs = LOOK_MS;
  timers.every(LOOK_MS, () => {
    if (!isRefused()) {
      pauseMs = 0;
      nextMs = LOOK_MS;
      return;
    }
    if (pauseMs <= 0) {
      request();
      pauseMs = nextMs;
      nextMs = Math.min(2 * nextMs, MOST_MS);
    }
    pauseMs -= LOOK_MS;
  });
}
