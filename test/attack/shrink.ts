/** The shortest list of steps found that still breaks something, by leaving ever smaller parts out. */
export async function shrink<T>(
  steps: readonly T[],
  breaks: (steps: readonly T[]) => Promise<boolean>,
  hasTime: () => boolean,
): Promise<readonly T[]> {
  let shortest = steps;
  for (let size = Math.ceil(steps.length / 2); size >= 1 && hasTime(); size = Math.floor(size / 2)) {
    for (let from = 0; from < shortest.length && hasTime(); ) {
      const without = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      if (await breaks(without)) shortest = without;
      else from += size;
    }
  }
  return shortest;
}
