/** Folders that are followed by chokidar through being missing, removed, replaced and mounted over. */
import { basename, dirname, join } from 'node:path';
import { type ChokidarFolder, watchByChokidar } from './chokidar-folder.ts';
import { type Coalescer, coalesce } from './coalesce.ts';
import { readFolderSignature } from './file-signature.ts';
import { createRetryTimes } from './retry-times.ts';

const WINDOW_MS = 25;
/** No event tells of a mount over a folder, or of a folder further above it that was moved away. */
const RECHECK_MS = 10_000;

export interface FollowedFoldersOptions {
  /** Absolute and normal paths, which need not exist. */
  readonly folders: readonly string[];
  readonly isWanted: (folder: string, name: string) => boolean;
  /** Paths of wanted entries that may have changed, and of folders of which everything may have; once per burst. */
  readonly onTouched: (paths: ReadonlySet<string>) => void;
  /** All is watched and was told as touched: at the start, and again after a failure. */
  readonly onSynced: () => void;
  readonly onFailure: (failure: { readonly cause: Error; readonly retryInMs: number }) => void;
}

interface Followed {
  readonly signature: string;
  readonly watch: ChokidarFolder;
}

/**
 * chokidar goes deaf to a folder that is removed and made again at once, and waits for one that is missing only if the
 * folder above it exists. So each folder, or the nearest one above it that exists, has a watcher of its own, which is
 * made anew when the path leads to another folder. Never two for one path: chokidar would share the deaf one's handle.
 */
export class FollowedFolders {
  readonly #options: FollowedFoldersOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #failed = new Set<string>();
  readonly #retryTimes = createRetryTimes();
  #closing: Promise<unknown> = Promise.resolve();
  #touched: Coalescer | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isSynced = false;

  constructor(options: FollowedFoldersOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#touched !== undefined) return;
    this.#isSynced = false;
    this.#touched = coalesce(WINDOW_MS, (paths) => this.#drain(paths));
    this.#recheck = setInterval(() => this.#follow(), RECHECK_MS);
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#touched?.close();
    this.#touched = undefined;
    clearInterval(this.#recheck);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#failed.clear();
    for (const path of [...this.#followed.keys()]) this.#close(path);
    await this.#closing;
  }

  /** Tells the entry once more, with the next burst. */
  touch(path: string): void {
    this.#touched?.add(path);
  }

  #drain(paths: ReadonlySet<string>): void {
    this.#follow();
    const { folders, isWanted, onTouched, onSynced } = this.#options;
    const isEntry = (path: string) => folders.includes(dirname(path)) && isWanted(dirname(path), basename(path));
    const told = [...paths].filter((path) => folders.includes(path) || isEntry(path));
    if (told.length > 0) onTouched(new Set(told));
    if (this.#isSynced || this.#failed.size > 0) return;
    if (![...this.#followed.values()].every(({ watch }) => watch.isReady)) return;
    this.#isSynced = true;
    this.#retryTimes.reset();
    onSynced();
  }

  /** Closes before it opens: see above. */
  #follow(): void {
    const needed = new Map(this.#options.folders.map(nearestFolder));
    for (const [path, { signature }] of this.#followed) {
      if (needed.get(path) === signature) continue;
      this.#close(path);
      this.#touched?.add(path);
    }
    for (const [path, signature] of needed) {
      if (!this.#followed.has(path) && !this.#failed.has(path)) this.#open(path, signature);
    }
  }

  #open(path: string, signature: string): void {
    const watch = watchByChokidar({
      folder: path,
      isWanted: (name) => this.#isWanted(path, name),
      // A key that is no path: whatever befell the folder itself, its signature tells.
      onTouched: (touched) => this.#touched?.add(touched === path ? '' : touched),
      onReady: () => this.#touched?.add(path),
      onFailure: (cause) => this.#fail(path, watch, cause),
    });
    this.#followed.set(path, { signature, watch });
  }

  /** An entry of a folder, or one on the way to a folder. */
  #isWanted(path: string, name: string): boolean {
    const { folders, isWanted } = this.#options;
    const entry = join(path, name);
    if (folders.includes(path) && isWanted(path, name)) return true;
    return folders.some((folder) => folder === entry || folder.startsWith(`${entry}/`));
  }

  #close(path: string): void {
    const closed = this.#followed.get(path)?.watch.close();
    this.#followed.delete(path);
    this.#closing = Promise.all([this.#closing, closed]);
  }

  /** Tells of the first failure and tries again later; each try tells the folder as touched, watched or not. */
  #fail(path: string, watch: ChokidarFolder, cause: unknown): void {
    if (this.#followed.get(path)?.watch !== watch) return;
    this.#close(path);
    this.#failed.add(path);
    this.#isSynced = false;
    this.#touched?.add(path);
    if (this.#retry !== undefined) return;
    const retryInMs = this.#retryTimes.next();
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#failed.clear();
      this.#follow();
    }, retryInMs);
    this.#options.onFailure({ cause: new Error(`${path}: can't be watched`, { cause }), retryInMs });
  }
}

/** The folder itself where it exists, and its signature. */
function nearestFolder(path: string): readonly [path: string, signature: string] {
  const signature = readFolderSignature(path);
  if (signature !== undefined) return [path, signature];
  if (path === dirname(path)) throw new Error(`${path}: can't be looked at`);
  return nearestFolder(dirname(path));
}
