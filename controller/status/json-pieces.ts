/** JSON of what holds long lists, made in turns. */
import { mapInTurns } from '../in-turns.ts';

const AT_ONCE = 200;

/**
 * The object in pieces for a file, so that neither making nor writing one keeps others waiting. An item of a list that is the
 * very object that was told before is told in the same words: none may be changed.
 */
export async function jsonPieces(object: object): Promise<string[]> {
  const pieces = ['{'];
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const texts = Array.isArray(value) ? await mapInTurns(value, wordsOf) : undefined;
    pieces.push(pieces.length === 1 ? '' : ',', `${JSON.stringify(key)}:`);
    if (texts === undefined) pieces.push(JSON.stringify(value));
    else pieces.push('[', ...joinSome(texts), ']');
  }
  return [...pieces, '}\n'];
}

function wordsOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return JSON.stringify(item);
  const known = told.get(item);
  if (known !== undefined) return known;
  const words = JSON.stringify(item);
  told.set(item, words);
  return words;
}

const told = new WeakMap<object, string>();

/** Separated by commas, so many in one. */
const joinSome = (texts: readonly string[]): string[] =>
  Array.from({ length: Math.ceil(texts.length / AT_ONCE) }, (_, index) => {
    const some = texts.slice(index * AT_ONCE, (index + 1) * AT_ONCE).join(',');
    return index === 0 ? some : `,${some}`;
  });
