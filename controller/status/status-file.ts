/** `status.json` in the daemon's runtime directory, for `routewall status` and for other programs. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fieldsOf, type Placed, parseJson } from '../json-shape.ts';
import { readIfThere } from '../read-if-there.ts';
import { parseRevisionView, type RevisionView } from '../revisions/revision-view.ts';
import { jsonPieces } from './json-pieces.ts';
import { parseServer, parseStatus } from './parse-status.ts';
import type { Server, StatusFile } from './status-shape.ts';

const NAME = 'status.json';

/** Renamed into place: a reader sees the old one or the new one, whole. */
export async function writeStatusFile(directory: string, status: StatusFile): Promise<void> {
  const temporary = join(directory, `.${NAME}.new`);
  await writeFile(temporary, await jsonPieces(status), { mode: 0o644 });
  await rename(temporary, join(directory, NAME));
}

/** `undefined` where there is none. @throws ShapeError for one that is no status file, Error for one that can't be read. */
export const readStatusFile = (directory: string): Promise<StatusFile | undefined> => readAs(directory, parseStatus);

/** As readStatusFile, without a look at each of thousands of containers. */
export const readServer = (directory: string): Promise<Server | undefined> => readAs(directory, parseServer, headOf);

/** The same of the revision alone. */
export const readRevision = (directory: string): Promise<RevisionView | undefined> =>
  readAs(directory, (top) => parseRevisionView(fieldsOf(top)('revision')), headOf);

/** What the service says of itself, which stands in front of the containers; all of it where a daemon has another order. */
function headOf(text: string): string {
  const end = /,"generation":(?:null|\d+),"containers":\[/.exec(text)?.index;
  return end === undefined ? text : `${text.slice(0, end)}}`;
}

async function readAs<T>(
  directory: string,
  parse: (top: Placed) => T,
  partOf = (text: string): string => text,
): Promise<T | undefined> {
  const file = join(directory, NAME);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return parse(parseJson(partOf(text)));
  } catch (cause) {
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
