/** What the daemon goes on without, as the status file has it. */
import { asList, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';
import type { UnreadReading } from '../pass/patience.ts';

/** Nothing where there is none, as a daemon of an earlier release has it. @throws ShapeError */
export function parseUnread(of: Placed): { readonly unread?: readonly UnreadReading[] } {
  const unread = orNull(of, asList)?.map((entry): UnreadReading => {
    const field = fieldsOf(entry);
    return { what: asText(field('what')), since: asText(field('since')), why: asText(field('why')) };
  });
  return unread === undefined ? {} : { unread };
}
