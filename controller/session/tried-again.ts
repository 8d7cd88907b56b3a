/** What the disk or the kernel refused is tried again, soon and then ever more rarely: no event tells that it would be taken. */
import type { Timers } from '../timers.ts';

interface TriedAgain {
  readonly timers: Timers;
  readonly isRefused: () => boolean;
  /** Asks for a pass: any one tries again. */
  readonly request: () => void;
}

const LOOK_MS = { first: 2_000, most: 60_000 };

export function tryAgain({ timers, isRefused, request }: TriedAgain): void {
  let ms = LOOK_MS.first;
  const look = (): void => {
    const isToBeTried = isRefused();
    if (isToBeTried) request();
    ms = isToBeTried ? Math.min(2 * ms, LOOK_MS.most) : LOOK_MS.first;
    timers.after(ms, look);
  };
  timers.after(ms, look);
}
