/** What to add to "there is no such container". */
import { closestWord } from '../../policies/suggest.ts';

export function hint(word: string, known: readonly string[]): string {
  const closest = closestWord(word, known);
  if (closest !== undefined) return `; did you mean "${closest}"?`;
  return known.length === 0 ? '; no LXC path holds a container (see -P)' : '';
}
