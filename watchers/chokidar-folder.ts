/** One existing folder's entries; whoever asks for it looks for itself at what is told. */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { watch } from 'chokidar';
import { type FolderWatch, watchFolder } from './folder-watch.ts';

export interface ChokidarFolder {
  /** What happens from now on is told; what there is already was not. */
  readonly isReady: boolean;
  close(): Promise<void>;
}

export interface ChokidarFolderOptions {
  readonly folder: string;
  /** Other entries are neither watched nor told. */
  readonly isWanted: (name: string) => boolean;
  /** An entry, or for the folder's own path the folder, may have changed. Often more than once for one change. */
  readonly onTouched: (path: string) => void;
  readonly onReady: () => void;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * Never two at once for one folder: chokidar shares the kernel's handle by path, also one that has gone deaf.
 *
 * chokidar has the files, and tells of a change through another name of one. The folder it would list with each change in it,
 * and look at each entry: 60 to 90 ms among a thousand, in which whoever reads or writes a file waits. What befalls the folder
 * itself, and what changes neither content nor existence (permissions), it doesn't tell at all.
 */
export function watchByChokidar(options: ChokidarFolderOptions): ChokidarFolder {
  const { folder, isWanted, onTouched, onFailure } = options;
  let isReady = false;
  let isClosed = false;
  const files = new Set<string>();
  const watcher = watch([], {
    depth: 0,
    ignoreInitial: true,
    // Would hold back a removal by 100 ms to see whether the file comes back; the burst's window does that.
    atomic: false,
    // A closed chokidar that finds two of its files gone opens itself again, and its handle is never closed. Nor shall it watch
    // the folder for a file that went before it looked.
    ignored: (path) => isClosed || dirname(path) !== folder,
  });
  const follow = (names: readonly string[]): void => {
    const come = names.map((name) => join(folder, name)).filter((path) => !files.has(path) && isFile(path));
    for (const path of come) files.add(path);
    if (come.length > 0) watcher.add(come);
  };
  const touch = (name: string): void => {
    if (name === basename(folder)) onTouched(folder);
    if (isClosed || !isWanted(name)) return;
    onTouched(join(folder, name));
    follow([name]);
  };
  watcher.on('all', (event, path) => {
    // Another may be there by now, of whose coming the folder has told before this.
    if (event === 'unlink') files.delete(path);
    touch(basename(path));
  });
  watcher.on('error', (error) => {
    const entry = brokenEntry(error, folder);
    if (entry === undefined) onFailure(error);
    else touch(entry);
  });
  const becomeReady = (): void => {
    if (isReady || isClosed) return;
    isReady = true;
    options.onReady();
  };
  watcher.on('ready', becomeReady);
  let above: FolderWatch | undefined;
  // Not before whoever asks has what it asked for.
  setImmediate(() => {
    if (isClosed) return;
    try {
      above = watchFolder(folder, touch, onFailure);
      if (above === undefined) throw new Error('it is gone');
      follow(readdirSync(folder).filter(isWanted));
      if (files.size === 0) becomeReady();
    } catch (cause) {
      onFailure(cause);
    }
  });
  return {
    get isReady() {
      return isReady;
    },
    close: () => {
      isClosed = true;
      above?.close();
      const closed = watcher.close();
      // It takes all listeners away, and what it was still reading may then fail: an error without a listener throws.
      watcher.on('error', () => {});
      return closed;
    },
  };
}

/** Through a link too. What can't be looked at is for its reader to tell of. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * An entry that can't be looked at (a link in a circle, or to where we may not look) is for its reader to tell of. As a
 * failure of the whole folder's watch it would leave all other entries to a look each ten seconds.
 */
function brokenEntry(error: unknown, folder: string): string | undefined {
  if (!(error instanceof Error && 'code' in error && 'path' in error && typeof error.path === 'string'))
    return undefined;
  const isItsOwn = ['ELOOP', 'EACCES', 'EPERM', 'ENAMETOOLONG'].includes(String(error.code));
  return isItsOwn && dirname(error.path) === folder ? basename(error.path) : undefined;
}
