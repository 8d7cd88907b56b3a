/** How far the heap may grow before garbage is collected: memory against the time that this takes, in which nobody starts. */

/** With fewer, memory is worth more than the processor's time, of which they cost little. */
const MANY_NICS = 2_000;
/** An edit of so long a list makes more garbage than all that else lives. */
const MANY_ADDRESSES = 30_000;

export interface Held {
  /** That are enforced. */
  readonly nics: number;
  /** Addresses and ranges in all lists. */
  readonly addresses: number;
}

/** `setFlag`: as `setFlagsFromString` of node:v8. What V8 doesn't know, it complains about and goes on. */
export function createHeap(setFlag: (flag: string) => void): { settle(held: Held): void } {
  // To the double. By itself it grows to several times what a start needs, and keeps that.
  setFlag('--heap-growing-percent=100');
  let wasMany: boolean | undefined;
  return {
    /**
     * From when all is read: what is made at once before would take half of its time in collecting. Small steps among 10,000
     * NICs cost a start twice the processor's time, and an edit of 100,000 addresses a third more.
     */
    settle: ({ nics, addresses }) => {
      const isMany = nics >= MANY_NICS || addresses >= MANY_ADDRESSES;
      if (isMany === wasMany) return;
      wasMany = isMany;
      setFlag(isMany ? '--no-optimize-for-size' : '--optimize-for-size');
      setFlag(`--heap-growing-percent=${isMany ? 25 : 0}`);
    },
  };
}
