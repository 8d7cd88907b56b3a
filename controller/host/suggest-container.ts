/** What follows the words "there is no such container": the closest name, or where to look. */
import { closestWord } from '../../policies/suggest.ts';

export function suggestContainer(word: string, known: readonly string[]): string {
  const closest = closestWord(word, known);
  if (closest !== undefined) return `; did you mean "${closest}"?`;
  return known.length === 0 ? '; no LXC path holds a container (see -P)' : '';
}
