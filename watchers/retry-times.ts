/** How long to wait before each try of what fails: soon, then ever more rarely, so that it is mended as late as it lasted. */

const FIRST_MS = 250;
const MOST_MS = 10_000;

export interface RetryTimes {
  next(): number;
  /** It was done. */
  reset(): void;
}

export function createRetryTimes(): RetryTimes {
  let ms = FIRST_MS;
  return {
    next: () => {
      const now = ms;
      ms = Math.min(2 * ms, MOST_MS);
      return now;
    },
    reset: () => {
      ms = FIRST_MS;
    },
  };
}
