/** The shortest list of steps found that still breaks something, by leaving ever smaller parts out; tries none twice. */
export async function shrink<T>(
  steps: readonly T[],
  breaks: (steps: readonly T[]) => Promise<boolean>,
  hasTime: () => boolean,
): Promise<readonly T[]> {
  let shortest: readonly number[] = steps.map((_, at) => at);
  const harmless = new Set<string>();
  const stepsOf = (places: readonly number[]): readonly T[] => steps.filter((_, at) => places.includes(at));
  for (let size = Math.ceil(steps.length / 2); size >= 1 && hasTime(); size = Math.floor(size / 2)) {
    for (let from = 0; from < shortest.length && hasTime(); ) {
      const without = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      if (!harmless.has(without.join()) && (await breaks(stepsOf(without)))) shortest = without;
      else {
        harmless.add(without.join());
        from += size;
      }
    }
  }
  return stepsOf(shortest);
}
