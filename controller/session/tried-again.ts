/** What disk, kernel or a tool refused is tried again, soon and then ever more rarely: no event tells that it would be taken. */
import type { Timers } from '../timers.ts';

export interface Refusable {
  /** Asked all the time. */
  readonly isRefused: () => boolean;
  readonly again: () => void;
}

const LOOK_MS = 2_000;
const MOST_MS = 60_000;

export function tryAgain(timers: Timers, { isRefused, again }: Refusable): void {
  let pauseMs = 0;
  let nextMs = LOOK_MS;
  timers.every(LOOK_MS, () => {
    if (!isRefused()) {
      pauseMs = 0;
      nextMs = LOOK_MS;
      return;
    }
    if (pauseMs <= 0) {
      again();
      pauseMs = nextMs;
      nextMs = Math.min(2 * nextMs, MOST_MS);
    }
    pauseMs -= LOOK_MS;
  });
}
