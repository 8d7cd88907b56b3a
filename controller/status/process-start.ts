/** When a process started, which tells it from a later one with the same number. */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../watchers/error-code.ts';

/** In clock ticks since boot; `undefined` where there is no such process. */
export async function readProcessStart(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch((cause: unknown) => {
    // ESRCH: it ended while its file was open.
    if (['ENOENT', 'ESRCH'].includes(errorCode(cause))) return undefined;
    throw cause;
  });
  // The command's name stands in parentheses and may hold blanks and parentheses itself; the 22nd field is wanted.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined ? undefined : Number(fields[19]);
}
