/** Waits for a condition, with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The first answer of `check` that is neither `undefined` nor `false`; asks again after 10 ms, or as long as it took up
 * to 100: who asks all the time takes the processor away from what is waited for. After `timeout` milliseconds throws
 * `what` and, where `check` threw, its last error.
 */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeout = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  let cause: unknown;
  for (;;) {
    const begin = performance.now();
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeout} ms`, { cause });
    await sleep(Math.min(Math.max(10, performance.now() - begin), 100));
  }
}
