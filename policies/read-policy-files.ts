/** The policy folder's files as they are on disk; a file that can't be read is its error. */
import { lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isPolicyFileName, policyFolders } from './policy-files.ts';
import { isMissing, readWholeFile } from './read-file.ts';
import { type FileContent, maxListBytes } from './source-text.ts';

/** How many files are open at once. */
const parallel = 64;

/**
 * Every policy file by its path in the folder; a folder that doesn't exist holds none, other errors are thrown. `strict`
 * as in `ReadOptions`.
 */
export async function readPolicyFiles(folder: string, strict = false): Promise<Map<string, FileContent>> {
  const listed = await Promise.all(['', ...policyFolders].map((part) => listFiles(folder, part)));
  const paths = listed.flat().filter(isPolicyFileName);
  const files = new Map<string, FileContent>();
  for (let first = 0; first < paths.length; first += parallel) {
    const chunk = paths.slice(first, first + parallel);
    const contents = await Promise.all(chunk.map((path) => readPolicyFile(folder, path, strict)));
    for (const [index, path] of chunk.entries()) {
      const content = contents[index];
      if (content !== undefined) files.set(path, content);
    }
  }
  return files;
}

async function listFiles(folder: string, part: string): Promise<string[]> {
  try {
    const names = await readdir(join(folder, part));
    return names.sort().map((name) => (part === '' ? name : `${part}/${name}`));
  } catch (error) {
    if (isMissing(error)) return [];
    throw new Error(`reading ${join(folder, part)}: ${String(error)}`, { cause: error });
  }
}

/** `undefined` where the file doesn't exist (any more). `path` is relative to the folder. */
export async function readPolicyFile(folder: string, path: string, strict = false): Promise<FileContent | undefined> {
  const file = join(folder, path);
  try {
    return await readWholeFile(file, { maxBytes: maxListBytes, strict, folders: [folder, dirname(file)] });
  } catch {
    return missingFile(file);
  }
}

/** A link to nothing is a policy that can't be read; taking it for no policy could open what it was to close. */
async function missingFile(file: string): Promise<Error | undefined> {
  const isThere = await lstat(file).then(
    () => true,
    () => false,
  );
  return isThere ? new Error('it is a link to a file that does not exist') : undefined;
}
