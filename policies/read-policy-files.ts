/** The policy folder's files as they are on disk; a file that can't be read is its error. */
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isPolicyFileName, policyFolders } from './policy-files.ts';
import { type FileContent, maxListBytes } from './source-text.ts';

/** How many files are open at once. */
const parallel = 64;

/** Every policy file by its path in the folder; a folder that doesn't exist holds none, other errors are thrown. */
export async function readPolicyFiles(folder: string): Promise<Map<string, FileContent>> {
  const listed = await Promise.all(['', ...policyFolders].map((part) => listFiles(folder, part)));
  const paths = listed.flat().filter(isPolicyFileName);
  const files = new Map<string, FileContent>();
  for (let first = 0; first < paths.length; first += parallel) {
    const chunk = paths.slice(first, first + parallel);
    const contents = await Promise.all(chunk.map((path) => readPolicyFile(folder, path)));
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
export async function readPolicyFile(folder: string, path: string): Promise<FileContent | undefined> {
  const file = join(folder, path);
  try {
    const { size } = await stat(file).then((stats) => {
      // A pipe or a device would make the reader wait for ever.
      if (!stats.isFile()) throw new Error('it is no regular file');
      return stats;
    });
    if (size > maxListBytes) return new Error(`it is larger than ${maxListBytes / 1024} KiB`);
    return await readFile(file);
  } catch (error) {
    if (isMissing(error)) return missingFile(file);
    return error instanceof Error ? error : new Error(String(error));
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

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
