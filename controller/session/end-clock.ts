/** Tells when a rule ends by itself, or when the clock was set so that one has ended or hasn't any more. */
import { hasEnded } from '../../policies/rule-ends.ts';

export interface EndClock {
  /** From now on these count: seconds since 1970, past and to come. `now`: the time by which the rules in force were chosen. */
  watch(ends: readonly number[], now: number): void;
  stop(): void;
}

/**
 * A timer stands still while the machine sleeps, doesn't notice a clock that is set, and can't be set for more than 24
 * days: the wall clock is looked at this often.
 */
const LOOK_MS = 60_000;

/** `onChange` is called once for each `watch`, at most. */
export function createEndClock(onChange: () => void, readClock: () => number = Date.now, lookMs = LOOK_MS): EndClock {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  const look = (ends: readonly number[], chosenAt: number): void => {
    const now = readClock();
    if (ends.some((end) => hasEnded(end, now) !== hasEnded(end, chosenAt))) {
      onChange();
      return;
    }
    const next = ends.find((end) => !hasEnded(end, now));
    const wait = next === undefined ? lookMs : Math.min(next * 1000 - now, lookMs);
    timer = setTimeout(() => look(ends, chosenAt), Math.max(wait, 1));
  };
  return {
    watch: (ends, now) => {
      stop();
      if (ends.length > 0) look(ends, now);
    },
    stop,
  };
}
