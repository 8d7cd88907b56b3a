/**
 * A folder and some of its subfolders, followed through being missing, removed, replaced and mounted over.
 *
 * Not chokidar, which watches the policy files: at 10,000 subfolders it holds twice the watches and four times the memory
 * (+110 MB), and takes 300 ms of CPU for each new subfolder, since it lists the whole root on each event there.
 */
import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Coalescer, coalesce } from './coalesce.ts';
import { type FolderWatch, watchFolder, watchNearestFolder } from './folder-watch.ts';
import { createRetryTimes } from './retry-times.ts';

const WINDOW_MS = 25;
/** No event tells of a mount over the root, or of a folder above it that was moved away. */
const RECHECK_MS = 10_000;

export interface FolderTreeOptions {
  readonly root: string;
  readonly wantsSubfolder: (name: string) => boolean;
  /** Of a subfolder. Cheap: called for each event of each entry. */
  readonly wantsEntry: (name: string) => boolean;
  readonly onEntry: (subfolder: string, name: string) => void;
  /** A subfolder is there that was not, is another one than before, is gone, or has other permissions. */
  readonly onSubfolder: (name: string) => void;
  /**
   * The root was looked through, and its subfolders told: at the start, whenever it is another folder than before, and when
   * all of them are watched that once could not be.
   */
  readonly onScanned: () => void;
  readonly onFailure: (failure: { readonly cause: Error; readonly retryInMs: number }) => void;
}

export class FolderTree {
  readonly #options: FolderTreeOptions;
  readonly #subfolders = new Map<string, FolderWatch>();
  /** Waiting for the next try. */
  readonly #unwatched = new Set<string>();
  readonly #retryTimes = createRetryTimes();
  #root: FolderWatch | undefined;
  #above: FolderWatch | undefined;
  #touched: Coalescer | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: FolderTreeOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#touched !== undefined) return;
    this.#touched = coalesce(WINDOW_MS, (keys) => this.#drain(keys));
    this.#recheck = setInterval(() => this.#checkRoot(), RECHECK_MS);
    this.#open(true);
  }

  stop(): void {
    this.#touched?.close();
    this.#touched = undefined;
    clearInterval(this.#recheck);
    this.#closeAll();
  }

  #closeAll(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const watch of [this.#root, this.#above, ...this.#subfolders.values()]) watch?.close();
    this.#subfolders.clear();
    this.#unwatched.clear();
    this.#root = undefined;
    this.#above = undefined;
  }

  /** `tellEmpty`: a root that doesn't exist has been looked through as well. */
  #open(tellEmpty: boolean): void {
    try {
      this.#root = this.#watch('');
      if (this.#root === undefined) {
        this.#above = watchNearestFolder(this.#options.root, () => this.#touched?.add('/'), this.#broken);
        // It may have appeared between the two looks.
        this.#root = this.#watch('');
      }
      if (this.#root === undefined) {
        if (tellEmpty) this.#options.onScanned();
        return;
      }
      this.#above?.close();
      this.#above = undefined;
      for (const name of this.#list()) this.#follow(name);
      this.#options.onScanned();
    } catch (error) {
      this.#broken(error);
    }
  }

  #list(): string[] {
    const mayBeFolder = (entry: Dirent) => entry.isDirectory() || entry.isSymbolicLink();
    const entries = readdirSync(this.#options.root, { withFileTypes: true });
    return entries.flatMap((entry) =>
      mayBeFolder(entry) && this.#options.wantsSubfolder(entry.name) ? entry.name : [],
    );
  }

  #watch(subfolder: string): FolderWatch | undefined {
    const onEntry = (name: string) => {
      const { wantsEntry, wantsSubfolder } = this.#options;
      // The root's own name stands for the root itself; an entry may have that name too.
      if (subfolder !== '') {
        if (wantsEntry(name)) this.#touched?.add(`${subfolder}/${name}`);
      } else if (wantsSubfolder(name) || this.#options.root.endsWith(`/${name}`)) this.#touched?.add(`${name}/`);
    };
    return watchFolder(join(this.#options.root, subfolder), onEntry, this.#broken);
  }

  /** Watches a subfolder anew if it must be. Its watch comes before it is told: what is written later is seen. */
  #follow(name: string): void {
    const before = this.#subfolders.get(name);
    let isThere = before?.isCurrent() ?? false;
    if (!isThere) {
      before?.close();
      this.#subfolders.delete(name);
      isThere = this.#watchSubfolder(name);
    }
    if (isThere || before !== undefined) this.#options.onSubfolder(name);
  }

  /** One that can't be watched (the kernel is out of watches) is there all the same, and told again with each try. */
  #watchSubfolder(name: string): boolean {
    try {
      const watch = this.#watch(name);
      if (watch !== undefined) this.#subfolders.set(name, watch);
      return watch !== undefined;
    } catch (cause) {
      this.#unwatched.add(name);
      this.#failed(new Error(`${join(this.#options.root, name)}: can't be watched`, { cause }));
      return true;
    }
  }

  #drain(keys: ReadonlySet<string>): void {
    if (this.#checkRoot()) return;
    try {
      for (const key of keys) {
        const slash = key.indexOf('/');
        const [folder, name] = [key.slice(0, slash), key.slice(slash + 1)];
        if (name !== '') this.#options.onEntry(folder, name);
        else if (folder !== '' && this.#options.wantsSubfolder(folder)) this.#follow(folder);
      }
    } catch (error) {
      this.#broken(error);
    }
  }

  /** True if the root had to be opened again, which tells everything in it. */
  #checkRoot(): boolean {
    // The next try tells everything.
    if (this.#root === undefined && this.#retry !== undefined) return true;
    if (this.#root?.isCurrent()) return false;
    const gone = [...this.#subfolders.keys()];
    const wasThere = this.#root !== undefined;
    this.#closeAll();
    this.#open(wasThere);
    for (const name of gone) if (!this.#subfolders.has(name)) this.#options.onSubfolder(name);
    return true;
  }

  readonly #broken = (error: unknown): void => {
    this.#closeAll();
    this.#failed(new Error(`${this.#options.root}: can't be watched`, { cause: error }));
  };

  #followAgain(names: readonly string[]): void {
    for (const name of names) this.#follow(name);
    if (this.#unwatched.size === 0) this.#options.onScanned();
  }

  /** Tells of the first failure and tries again later, the root or what is left of its subfolders. */
  #failed(cause: Error): void {
    if (this.#touched === undefined || this.#retry !== undefined) return;
    const retryInMs = this.#retryTimes.next();
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      const names = [...this.#unwatched];
      this.#unwatched.clear();
      if (this.#root === undefined) this.#open(true);
      else this.#followAgain(names);
      if (this.#retry === undefined) this.#retryTimes.reset();
    }, retryInMs);
    this.#options.onFailure({ cause, retryInMs });
  }
}
