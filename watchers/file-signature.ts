/** What tells whether a file is still the one that was looked at, without reading it. */
import { type BigIntStats, lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** A file's time moves in steps of the kernel's tick, 10 ms at most: two writes within one may leave the same time. */
const TICK_MS = 20;
/** Or of two seconds, where the file system keeps no parts of them. */
const WHOLE_MS = 2100;

export interface FileSignature {
  /** Differs whenever the content, a link's target, or the permissions of the file or of its folder differ. */
  readonly text: string;
  /** False for a file that is so new that it may change once more without another `text`. */
  readonly isSettled: boolean;
}

/** `undefined` where there is nothing. What can't be looked at has a signature too: reading it says why. */
export function readFileSignature(file: string): FileSignature | undefined {
  const own = readContentSignature(file);
  return own && { ...own, text: `${own.text} ${access(look(dirname(file), statSync))}` };
}

/** The same without the permissions of its folder. */
export function readContentSignature(file: string): FileSignature | undefined {
  const own = look(file, lstatSync);
  if (own === undefined) return undefined;
  const target = isSymbolicLink(own) ? look(file, statSync) : own;
  const changedMs = typeof target === 'object' ? Number(target.ctimeMs) : 0;
  const stepMs = changedMs % 1000 === 0 ? WHOLE_MS : TICK_MS;
  return {
    text: target === own ? content(own) : `${content(own)} ${content(target)}`,
    isSettled: changedMs < Date.now() - stepMs,
  };
}

export const isLink = (file: string): boolean => isSymbolicLink(look(file, lstatSync));

/** A folder's identity and permissions. `undefined` where there is none, or none that can be looked at. */
export function readFolderSignature(folder: string): string | undefined {
  const stats = look(folder, statSync);
  if (typeof stats !== 'object' || !stats.isDirectory()) return undefined;
  // The file system may give a removed folder's inode number to the next one; its birth time differs.
  return `${stats.dev}:${stats.ino}:${stats.birthtimeNs} ${access(stats)}`;
}

type Look = BigIntStats | string | undefined;

const isSymbolicLink = (found: Look): boolean => typeof found === 'object' && found.isSymbolicLink();

const content = (found: Look): string =>
  typeof found === 'object' ? `${found.dev}:${found.ino}:${found.ctimeNs}:${found.size}` : (found ?? 'nothing');

const access = (found: Look): string =>
  typeof found === 'object' ? `${found.mode}:${found.uid}:${found.gid}` : (found ?? 'nothing');

/** The error's code where the kernel refuses. */
function look(path: string, stat: typeof statSync | typeof lstatSync): Look {
  try {
    return stat(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) throw error;
    return error.code === 'ENOTDIR' ? undefined : error.code;
  }
}
