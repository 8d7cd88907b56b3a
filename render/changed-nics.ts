/** Which NICs differ between two states; everything that follows a change asks it of the same two. */
import type { DesiredState } from './desired.ts';
import { changedKeys } from './shared-map.ts';

type OfNics = Pick<DesiredState, 'nics'>;
type Nics = DesiredState['nics'];

let last: { readonly before: Nics; readonly after: Nics; readonly keys: readonly string[] } | undefined;

const NONE: readonly string[] = [];

/** The keys of NICs that are another object after than before, or only in one of both. */
export function changedNicKeys({ nics: before }: OfNics, { nics: after }: OfNics): readonly string[] {
  // Of most passes behind a start nothing comes.
  if (before === after) return NONE;
  if (last?.before !== before || last.after !== after) last = { before, after, keys: changedKeys(before, after) };
  return last.keys;
}
