/** The policy folder's files as they are on disk; a file that can't be read is its error. */
import { lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isPolicyFileName, policyFolders } from './policy-files.ts';
import { isMissing, readWholeFile } from './read-file.ts';
import { type FileContent, maxListBytes } from './source-text.ts';

/** So many files are read before whoever else has something to do gets a turn: 5 ms. */
const AT_ONCE = 200;

/** Gives a file's content: what it knows to be unchanged, or what `read` answers. */
export type KeepContent = (file: string, read: () => FileContent | undefined) => FileContent | undefined;

/**
 * Every policy file by its path in the folder; a folder that doesn't exist holds none, other errors are thrown. `strict`
 * as in `ReadOptions`. `turn`: lets others go on.
 */
export async function readPolicyFiles(
  folder: string,
  strict = false,
  keep: KeepContent = (_, read) => read(),
  turn: () => Promise<unknown> = setImmediate,
): Promise<Map<string, FileContent>> {
  const paths = ['', ...policyFolders].flatMap((part) => listFiles(folder, part)).filter(isPolicyFileName);
  const files = new Map<string, FileContent>();
  const trusted = new Set<string>();
  for (const [index, path] of paths.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await turn();
    const file = join(folder, path);
    const content = keep(file, () => readOne(folder, file, strict, trusted));
    if (content !== undefined) files.set(path, content);
  }
  return files;
}

function listFiles(folder: string, part: string): string[] {
  try {
    const names = readdirSync(join(folder, part));
    return names.sort().map((name) => (part === '' ? name : `${part}/${name}`));
  } catch (error) {
    if (isMissing(error)) return [];
    throw new Error(`reading ${join(folder, part)}: ${String(error)}`, { cause: error });
  }
}

/** `undefined` where the file doesn't exist (any more). `path` is relative to the folder. */
export const readPolicyFile = (folder: string, path: string, strict = false): FileContent | undefined =>
  readOne(folder, join(folder, path), strict);

/** `trusted` as in `ReadOptions`. */
function readOne(folder: string, file: string, strict: boolean, trusted?: Set<string>): FileContent | undefined {
  try {
    return readWholeFile(file, {
      maxBytes: maxListBytes,
      strict,
      folders: [folder, dirname(file)],
      ...(trusted && { trusted }),
    });
  } catch {
    return missingFile(file);
  }
}

/** A link to nothing is a policy that can't be read; taking it for no policy could open what it was to close. */
function missingFile(file: string): Error | undefined {
  return lstatSync(file, { throwIfNoEntry: false }) === undefined
    ? undefined
    : new Error('it is a link to a file that does not exist');
}
