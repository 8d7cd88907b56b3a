/** A file that need not be there. */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../watchers/error-code.ts';

/** `undefined` where there is none. @throws Error where it can't be read */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}
