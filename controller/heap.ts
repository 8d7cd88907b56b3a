/** How far the heap may grow before garbage is collected: memory against the time that this takes, in which nobody starts. */

/** With fewer, memory is worth more than the processor's time, of which they cost little. */
const MANY = 2000;

/** `setFlag`: as `setFlagsFromString` of node:v8. What V8 doesn't know, it complains about and goes on. */
export function createHeap(setFlag: (flag: string) => void): { settle(nics: number): void } {
  // To the double. By itself it grows to several times what a start needs, and keeps that.
  setFlag('--heap-growing-percent=100');
  let wasMany: boolean | undefined;
  return {
    /**
     * From when all is read: what is made at once before would take half of its time in collecting. `nics`: that are enforced;
     * small steps among 10,000 of them cost a start twice the processor's time.
     */
    settle: (nics) => {
      const isMany = nics >= MANY;
      if (isMany === wasMany) return;
      wasMany = isMany;
      setFlag(isMany ? '--no-optimize-for-size' : '--optimize-for-size');
      setFlag(`--heap-growing-percent=${isMany ? 25 : 0}`);
    },
  };
}
