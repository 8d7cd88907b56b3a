/** One folder's entries, by inotify on the folder alone: what they are is not opened, what they hold is not watched. */
import { type FSWatcher, type Stats, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { errorCode } from './error-code.ts';

export interface FolderWatch {
  /** Whether the path still leads to the folder that is watched, as far as can be told: why not, a new watch is refused with. */
  isCurrent(): boolean;
  close(): void;
}

/**
 * `onEntry` gets the name of an entry that was created, written, renamed, removed or given other permissions; or the
 * folder's own name when that happened to the folder. `onBroken`: the kernel no longer tells.
 * `undefined` where there is no such folder. Throws as the kernel refuses (ENOSPC: out of watches; EACCES).
 */
export function watchFolder(
  path: string,
  onEntry: (name: string) => void,
  onBroken: (cause: Error) => void,
): FolderWatch | undefined {
  const before = statIfFolder(path);
  if (before === undefined) return undefined;
  let watcher: FSWatcher;
  try {
    watcher = watch(path, (_, name) => onEntry(name ?? basename(path)));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  watcher.on('error', onBroken);
  return { isCurrent: () => isStill(path, before), close: () => watcher.close() };
}

/** The nearest existing folder above a path that doesn't exist; `onChange` when anything happens there. */
export function watchNearestFolder(path: string, onChange: () => void, onBroken: (cause: Error) => void): FolderWatch {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = watchFolder(folder, onChange, onBroken);
    if (found !== undefined) return found;
    if (folder === dirname(folder)) throw new Error(`${path}: not even ${folder} can be watched`);
  }
}

/** Follows symbolic links. `undefined` where there is nothing, or something that is no folder. */
function statIfFolder(path: string): Stats | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats?.isDirectory() ? stats : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Asked by timers, where an error would be nobody's. */
function isStill(path: string, before: Stats): boolean {
  try {
    return isSameFolder(before, statIfFolder(path));
  } catch {
    return false;
  }
}

// The file system may give a removed folder's inode number to the next one; its birth time differs.
const isSameFolder = (a: Stats, b: Stats | undefined): boolean =>
  a.dev === b?.dev && a.ino === b.ino && a.birthtimeMs === b.birthtimeMs;

/** A part of the path isn't there, is no folder, or is a link in a loop. */
export const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error));
