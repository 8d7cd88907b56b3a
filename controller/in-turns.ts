/** Much that nobody waits for, done piece by piece: a container that starts has its turn in between. */
import { setImmediate } from 'node:timers/promises';
import type { Pieces } from '../render/pieces.ts';

const TURN_MS = 4;
/** The clock is asked once for so many. */
const AT_ONCE = 32;

/** Lets others go on, where it is time. */
export type Turn = () => Promise<void>;

/** `others`: waits for what goes first, however long that takes. */
export function createTurn(others = async (): Promise<void> => undefined): Turn {
  let began = performance.now();
  return async () => {
    if (performance.now() - began < TURN_MS) return;
    await setImmediate();
    await others();
    began = performance.now();
  };
}

export async function inTurns<T>(pieces: Pieces<T>, turn = createTurn()): Promise<T> {
  for (;;) {
    const piece = pieces.next();
    if (piece.done === true) return piece.value;
    await turn();
  }
}

/** `items`: not to be changed meanwhile. @returns what each of them gave */
export const mapInTurns = <T, R>(items: Iterable<T>, map: (item: T) => R, turn = createTurn()): Promise<R[]> =>
  inTurns(mapInPieces(items, map), turn);

function* mapInPieces<T, R>(items: Iterable<T>, map: (item: T) => R): Pieces<R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(map(item));
    if (results.length % AT_ONCE === 0) yield;
  }
  return results;
}
