/** One file's bytes: never more than asked for, never waiting for a writer, and on demand only what root alone can write. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileContent } from './source-text.ts';

export interface ReadOptions {
  readonly maxBytes: number;
  /** Refuse what others than root can change, these folders among it: who can write a policy opens the firewall. */
  readonly strict: boolean;
  readonly folders?: readonly string[];
}

/** Another's file has no say; its message stands for itself. */
export class Untrusted extends Error {
  override readonly name = 'Untrusted';
}

/** Strict is who can't be overruled: root, whose word the rules are. A user's own drafts are read as they are. */
export const isStrict = (): boolean => process.geteuid?.() === 0;

/** Why it can't be read is the answer too. @throws the kernel's ENOENT or ENOTDIR where there is none. */
export async function readWholeFile(file: string, options: ReadOptions): Promise<FileContent> {
  try {
    if (options.strict) await requireTrusted([...(options.folders ?? []), dirname(await realpath(file))]);
    // Non-blocking, since opening a FIFO would wait for its writer for ever. What was opened is what is asked about: the
    // name may stand for another file by now.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await readOpened(handle, file, options);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) throw error;
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function readOpened(handle: FileHandle, file: string, { maxBytes, strict }: ReadOptions): Promise<FileContent> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw new Error('it is no regular file');
  const reason = strict ? distrust(stats) : undefined;
  if (reason !== undefined) throw new Untrusted(`not trusted: ${reason} ${file}`);
  if (stats.size > maxBytes) throw tooLarge(maxBytes);
  // It may grow while it is read.
  const buffer = Buffer.alloc(Math.min(stats.size, maxBytes) + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  throw new Error('it grew while it was read');
}

const tooLarge = (maxBytes: number): Error => new Error(`it is larger than ${maxBytes / 1024} KiB`);

/** @throws Untrusted */
async function requireTrusted(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const reason = distrust(await stat(folder));
    if (reason !== undefined) throw new Untrusted(`not trusted: ${reason} ${folder}`);
  }
}

/** As `sshd` judges a user's keys; root's group counts as root. */
function distrust({ uid, gid, mode }: Stats): string | undefined {
  if (uid !== 0 && uid !== process.geteuid?.())
    return `it belongs to user ${uid}, and only root's is enforced: chown root`;
  if ((mode & 0o002) !== 0) return 'all can write to it: chmod o-w';
  if ((mode & 0o020) !== 0 && gid !== 0) return `group ${gid} can write to it: chmod g-w`;
  return undefined;
}

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
