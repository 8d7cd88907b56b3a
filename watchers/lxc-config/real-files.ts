/** The parser's view of the real disk. */
import { closeSync, constants, fstatSync, opendirSync, openSync, readFileSync, type Stats } from 'node:fs';
import type { LxcFiles } from './config.ts';

/** No configuration is that large; a file that is would hold up the daemon. */
const MAX_BYTES = 16 * 1024 * 1024;

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
  if (stats.size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
  return readFileSync(fd, 'utf8');
}

function unlessMissing<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw cause;
  }
}
