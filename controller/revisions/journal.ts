/** `revisions/journal.json`: which revision is in force, and what waits. Written before the kernel is. */
import { asNumber, asText, fieldsOf, orNull, type Placed, parseJson, ShapeError } from '../json-shape.ts';
import { readIfThere } from '../read-if-there.ts';
import { type DurableDisk, replaceFile } from '../state/durable-disk.ts';

/** A revision that is in force until `due` unless it is confirmed. */
export interface Unconfirmed {
  readonly revision: number;
  /** What takes its place otherwise. */
  readonly previous: number;
  readonly by: string;
  readonly due: Due;
}

/** A moment, by the host's clock and, within one boot, by its uptime, which nobody sets. */
export interface Due {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** How long it was to wait. */
  readonly seconds: number;
  readonly boot: string;
  /** Seconds since that boot. */
  readonly uptime: number;
}

export interface Journal {
  /** `null`: none yet. */
  readonly inForce: number | null;
  /** The digest of files that are not to be followed, after a rollback or a take-back; what differs from them is. */
  readonly refused: string | null;
  readonly unconfirmed: Unconfirmed | null;
}

export const EMPTY_JOURNAL: Journal = { inForce: null, refused: null, unconfirmed: null };

export const writeJournal = (disk: DurableDisk, file: string, journal: Journal): Promise<void> =>
  replaceFile(disk, file, `${JSON.stringify(journal, null, 2)}\n`);

/** `undefined` where there is none. @throws Error for one that is no journal. */
export async function readJournal(file: string): Promise<Journal | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return parseJournal(parseJson(text));
  } catch (cause) {
    throw new Error(file, { cause });
  }
}

/** @throws ShapeError */
export function parseJournal(top: Placed): Journal {
  const field = fieldsOf(top);
  // Half a journal must not count as one in which nothing waits.
  for (const key of ['inForce', 'refused', 'unconfirmed'])
    if (field(key).value === undefined) throw new ShapeError(`${key} is missing`);
  return {
    inForce: orNull(field('inForce'), asNumber),
    refused: orNull(field('refused'), asText),
    unconfirmed: orNull(field('unconfirmed'), parseUnconfirmed),
  };
}

function parseUnconfirmed(of: Placed): Unconfirmed {
  const field = fieldsOf(of);
  const due = fieldsOf(field('due'));
  return {
    revision: asNumber(field('revision')),
    previous: asNumber(field('previous')),
    by: asText(field('by')),
    due: {
      at: asText(due('at')),
      seconds: asNumber(due('seconds')),
      boot: asText(due('boot')),
      uptime: asNumber(due('uptime')),
    },
  };
}
