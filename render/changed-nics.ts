/** Which NICs differ between two states; everything that follows a change asks it of the same two. */
import type { DesiredState, NicState } from './desired.ts';
import { changedKeys } from './shared-map.ts';

type OfNics = Pick<DesiredState, 'nics'>;
type Nics = DesiredState['nics'];

/** As it was and is; `undefined`: it wasn't, or isn't any more. */
export interface ChangedNic {
  readonly key: string;
  readonly old: NicState | undefined;
  readonly now: NicState | undefined;
}

interface Difference {
  readonly before: Nics;
  readonly after: Nics;
  readonly keys: readonly string[];
  nics: readonly ChangedNic[] | undefined;
}

let last: Difference | undefined;

const NONE: Difference = { before: new Map(), after: new Map(), keys: [], nics: [] };

function differenceOf({ nics: before }: OfNics, { nics: after }: OfNics): Difference {
  // Of most passes behind a start nothing comes.
  if (before === after) return NONE;
  if (last?.before !== before || last.after !== after)
    last = { before, after, keys: changedKeys(before, after), nics: undefined };
  return last;
}

/** The keys of NICs that are another object after than before, or only in one of both. */
export const changedNicKeys = (before: OfNics, after: OfNics): readonly string[] => differenceOf(before, after).keys;

/** The same with the NICs. */
export function changedNics(before: OfNics, after: OfNics): readonly ChangedNic[] {
  const difference = differenceOf(before, after);
  difference.nics ??= difference.keys.map((key) => ({
    key,
    old: difference.before.get(key),
    now: difference.after.get(key),
  }));
  return difference.nics;
}
