/** One file's bytes: never more than asked for, never waiting for a writer, and on demand only what root alone can write. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FileContent } from './source-text.ts';

export interface ReadOptions {
  readonly maxBytes: number;
  /** Refuse what others than root can change, these folders among it: a user who can write a policy opens the firewall. */
  readonly strict: boolean;
  readonly folders?: readonly string[];
  /** Folders that the same reading of many files has asked about; it adds to them. */
  readonly trusted?: Set<string>;
}

/** Another's file has no say; its message stands for itself. */
export class Untrusted extends Error {
  override readonly name = 'Untrusted';
}

/** Strict for root alone, whose files become rules. A user's own drafts are read as they are. */
export const isStrict = (): boolean => process.geteuid?.() === 0;

/**
 * Why it can't be read is the answer too. Without waiting, since Node's own threads take five times as long for a small file
 * as the kernel does. @throws the kernel's ENOENT or ENOTDIR where there is none.
 */
export function readWholeFile(file: string, options: ReadOptions): FileContent {
  try {
    const fd = openTrusted(file, options);
    try {
      return readOpened(fd, file, options);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isMissing(error)) throw error;
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Non-blocking, since opening a FIFO would wait for its writer for ever. */
const READING = constants.O_RDONLY | constants.O_NONBLOCK;

function openTrusted(file: string, { strict, folders = [], trusted = new Set() }: ReadOptions): number {
  if (!strict) return openSync(file, READING);
  requireTrusted(folders, trusted);
  // What is no link lies in the folder that it was looked for in.
  const opened = folders.includes(dirname(file)) ? openUnlessLink(file) : undefined;
  if (opened !== undefined) return opened;
  requireTrusted([dirname(realpathSync(file))], trusted);
  return openSync(file, READING);
}

function openUnlessLink(file: string): number | undefined {
  try {
    return openSync(file, READING | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP') return undefined;
    throw error;
  }
}

/** What was opened is what is asked about: the name may stand for another file by now. */
function readOpened(fd: number, file: string, { maxBytes, strict }: ReadOptions): FileContent {
  const stats = fstatSync(fd);
  if (!stats.isFile()) throw new Error('it is no regular file');
  const reason = strict ? distrust(stats) : undefined;
  if (reason !== undefined) throw new Untrusted(`not trusted: ${reason} ${file}`);
  if (stats.size > maxBytes) throw tooLarge(maxBytes);
  // It may grow while it is read.
  const buffer = Buffer.allocUnsafe(Math.min(stats.size, maxBytes) + 1);
  let length = 0;
  while (length < buffer.length) {
    const bytesRead = readSync(fd, buffer, length, buffer.length - length, length);
    length += bytesRead;
    // All of it, and asked for more there was none.
    if (bytesRead === 0 || length === stats.size) return buffer.subarray(0, length);
  }
  throw new Error('it grew while it was read');
}

const tooLarge = (maxBytes: number): Error => new Error(`it is larger than ${maxBytes / 1024} KiB`);

/** @throws Untrusted */
function requireTrusted(folders: readonly string[], trusted: Set<string>): void {
  for (const folder of folders) {
    if (trusted.has(folder)) continue;
    const reason = distrust(statSync(folder));
    if (reason !== undefined) throw new Untrusted(`not trusted: ${reason} ${folder}`);
    trusted.add(folder);
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

/**
 * The kernel refused to have it read, for reasons that may pass by themselves (out of files, of memory, a disk or a server
 * that doesn't answer): nobody will tell that it can be read again.
 */
export const wasRefused = (content: unknown): content is Error => content instanceof Error && 'code' in content;

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

/** As a user is told of a file that was named. */
export const whyUnread = (error: unknown): string =>
  isMissing(error)
    ? 'there is no such file'
    : `can't be read: ${error instanceof Error ? error.message : String(error)}`;
