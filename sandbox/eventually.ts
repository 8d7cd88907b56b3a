/** Waits for a condition, with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The first answer of `check` that is neither `undefined` nor `false`; asks again every 10 ms. After `timeout`
 * milliseconds throws `what` and, where `check` threw, its last error.
 */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeout = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeout} ms`, { cause });
    await sleep(10);
  }
}
