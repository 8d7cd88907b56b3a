/** What the daemon goes on without, as the status file has it. */
import { asList, asObject, asText, at, orNull, type Placed } from '../json-shape.ts';
import type { UnreadReading } from '../patience.ts';

/** Nothing where there is none, as a daemon of an earlier release has it. @throws ShapeError */
export function parseUnread(of: Placed): { readonly unread?: readonly UnreadReading[] } {
  const unread = orNull(of, asList)?.map((entry): UnreadReading => {
    const object = asObject(entry);
    const field = (key: string): string => asText(at(object, key, entry.path));
    return { what: field('what'), since: field('since'), why: field('why') };
  });
  return unread === undefined ? {} : { unread };
}
