/** Which NICs differ between two states; everything that follows a change asks it of the same two. */
import type { DesiredState } from './desired.ts';

type Nics = DesiredState['nics'];

let last: { readonly before: Nics; readonly after: Nics; readonly keys: readonly string[] } | undefined;

const NONE: readonly string[] = [];

/** By whoever made the second from the first, and so knows without looking at all of them. */
export function noteChangedNicKeys(before: Nics, after: Nics, keys: readonly string[]): void {
  last = { before, after, keys };
}

/** The keys of NICs that are another object after than before, or only in one of both. */
export function changedNicKeys({ nics: before }: DesiredState, { nics: after }: DesiredState): readonly string[] {
  // Of most passes behind a start nothing comes.
  if (before === after) return NONE;
  if (last?.before === before && last.after === after) return last.keys;
  const keys: string[] = [];
  for (const [key, nic] of before) if (after.get(key) !== nic) keys.push(key);
  for (const key of after.keys()) if (!before.has(key)) keys.push(key);
  last = { before, after, keys };
  return keys;
}
