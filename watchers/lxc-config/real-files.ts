/** The parser's view of the real disk. */
import { closeSync, constants, fstatSync, opendirSync, openSync, readSync, type Stats } from 'node:fs';
import { errorCode } from '../error-code.ts';
import type { LxcFiles } from './config.ts';

/** No configuration is that large; a file that is would hold up the daemon. */
const MAX_BYTES = 1024 * 1024;

/** Made once: for ten thousand small files, a buffer each costs more than its reading. */
const SCRATCH = Buffer.allocUnsafe(64 * 1024);

/** makedev(1, 3) */
const DEV_NULL = 0x103;

/** Missing files answer `undefined`; what is there and can't be read throws with its reason. */
export const realFiles: LxcFiles = {
  read(file) {
    // Non-blocking, since opening a FIFO would wait for its writer for ever.
    const fd = unlessMissing(() => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
    if (fd === undefined) return undefined;
    try {
      return readOpen(fd, fstatSync(fd));
    } finally {
      closeSync(fd);
    }
  },
  list(folder) {
    const opened = unlessMissing(() => opendirSync(folder));
    if (opened === undefined) return undefined;
    // Not readdirSync, which sorts: LXC takes the kernel's order, and the last of two lines wins.
    const names: string[] = [];
    try {
      for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) names.push(entry.name);
    } finally {
      opened.closeSync();
    }
    return names;
  },
};

function readOpen(fd: number, stats: Stats): string | undefined {
  if (stats.isDirectory()) return undefined;
  if (stats.isCharacterDevice() && stats.rdev === DEV_NULL) return '';
  if (!stats.isFile()) throw new Error('not a regular file');
  if (stats.size > MAX_BYTES) throw tooLarge();
  const head = fill(fd, SCRATCH, stats.size);
  if (head < SCRATCH.length) return SCRATCH.toString('utf8', 0, head);
  const rest = Buffer.allocUnsafe(MAX_BYTES - head + 1);
  const more = fill(fd, rest);
  if (more === rest.length) throw tooLarge();
  return Buffer.concat([SCRATCH, rest.subarray(0, more)]).toString('utf8');
}

/** To the file's end or the buffer's: it may grow while it is read, and files of /proc have no size at all. `size`: as it said. */
function fill(fd: number, buffer: Buffer, size = 0): number {
  let length = 0;
  while (length < buffer.length) {
    const bytes = readSync(fd, buffer, length, buffer.length - length, null);
    length += bytes;
    // All of it, and asked for more there was none.
    if (bytes === 0 || (length === size && length < buffer.length)) break;
  }
  return length;
}

const tooLarge = (): Error => new Error(`larger than ${MAX_BYTES / 1024} KiB`);

function unlessMissing<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(cause))) return undefined;
    throw cause;
  }
}
