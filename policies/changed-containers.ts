/** Which containers differ between two lists of all. */
import type { Container } from './endpoint.ts';

export interface ChangedContainers {
  /** As they were: those that are another object now, or not there any more. */
  readonly gone: readonly Container[];
  readonly come: readonly Container[];
}

const NONE: ChangedContainers = { gone: [], come: [] };

/** Both lists are in one order, so that what lies between the first and the last difference is mostly one container. */
export function changedContainers(before: readonly Container[], after: readonly Container[]): ChangedContainers {
  if (before === after) return NONE;
  const most = Math.min(before.length, after.length);
  let first = 0;
  while (first < most && before[first] === after[first]) first += 1;
  let last = 0;
  while (last < most - first && before.at(-1 - last) === after.at(-1 - last)) last += 1;
  const old = before.slice(first, before.length - last);
  const now = after.slice(first, after.length - last);
  const [known, present] = [new Set(old), new Set(now)];
  return { gone: old.filter((each) => !present.has(each)), come: now.filter((each) => !known.has(each)) };
}
