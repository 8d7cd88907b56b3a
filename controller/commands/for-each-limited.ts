/** Runs an asynchronous step for each item, so many at a time. */

/** @throws the first error, once the steps under way have ended. */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  step: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const errors: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await step(item);
      } catch (cause) {
        errors.push(cause);
        queue.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, queue.length) }, work));
  if (errors.length > 0) throw errors[0];
}
