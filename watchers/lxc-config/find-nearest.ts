/** What a misspelt name was probably meant to be. */
import { closest, distance } from 'fastest-levenshtein';

/** The candidate that up to three keystrokes turn the name into, if there is one. */
export function findNearest(name: string, candidates: readonly string[]): string | undefined {
  // The comparison is quadratic, and a line may be a megabyte long.
  if (name.length > 64) return undefined;
  const near = closest(name, candidates);
  return distance(name, near) <= 3 ? near : undefined;
}
