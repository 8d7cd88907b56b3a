/** One existing folder's entries by chokidar; whoever asks for it looks for itself at what is told. */
import { basename, dirname, join } from 'node:path';
import { watch } from 'chokidar';

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
 * chokidar's own events miss what changes neither content nor existence (permissions), and all that befalls the folder;
 * its raw events have that. Its raw events miss a change through another name of the file; its own have that.
 */
export function watchByChokidar(options: ChokidarFolderOptions): ChokidarFolder {
  const { folder, isWanted, onTouched } = options;
  const touch = (name: string) => {
    if (name === '' || name === basename(folder)) onTouched(folder);
    if (isWanted(name)) onTouched(join(folder, name));
  };
  let isReady = false;
  let isClosed = false;
  const watcher = watch(folder, {
    depth: 0,
    ignoreInitial: true,
    // Would hold back a removal by 100 ms to see whether the file comes back; the burst's window does that.
    atomic: false,
    // A closed chokidar that finds two of its files gone opens itself again, and its handle is never closed.
    ignored: (path) => isClosed || (path !== folder && !(dirname(path) === folder && isWanted(basename(path)))),
  });
  watcher.on('all', (_, path) => touch(path === folder ? '' : basename(path)));
  // Its declared type hides that the kernel may give no name.
  watcher.on('raw', (_, name: string | null, details) => {
    if (watchedPathOf(details) === folder) touch(name ?? '');
  });
  watcher.on('error', (error) => {
    const entry = brokenEntry(error, folder);
    if (entry === undefined) options.onFailure(error);
    else touch(entry);
  });
  watcher.on('ready', () => {
    isReady = true;
    options.onReady();
  });
  return {
    get isReady() {
      return isReady;
    },
    close: () => {
      isClosed = true;
      const closed = watcher.close();
      // It takes all listeners away, and what it was still reading may then fail: an error without a listener throws.
      watcher.on('error', () => {});
      return closed;
    },
  };
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

const watchedPathOf = (details: unknown): unknown =>
  typeof details === 'object' && details !== null && 'watchedPath' in details ? details.watchedPath : undefined;
