/** Single files and folders anywhere on the disk, watched for whoever asked, however many ask for the same one. */
import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Coalescer, coalesce } from './coalesce.ts';
import { type FolderWatch, isMissing, watchFolder, watchNearestFolder } from './folder-watch.ts';
import { createRetryTimes } from './retry-times.ts';

const WINDOW_MS = 25;
/** Longer than anyone takes from reading a file to asking for its watch. */
const LATELY_MS = 10_000;

export interface IncludedFilesOptions {
  /** Something that `owner` includes appeared, changed or went; once per burst. */
  readonly onChange: (owner: string) => void;
  /** Something can't be watched, for one thing of all that can't: until it can be, each try tells it as changed. */
  readonly onFailure: (failure: { readonly cause: Error; readonly retryInMs: number }) => void;
  /** After a failure: all is watched. */
  readonly onWatched: () => void;
}

interface Include {
  readonly owners: Set<string>;
  watches: readonly FolderWatch[];
  isThere: boolean;
}

export class IncludedFiles {
  readonly #options: IncludedFilesOptions;
  readonly #includes = new Map<string, Include>();
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #failed = new Set<string>();
  readonly #retryTimes = createRetryTimes();
  #retry: NodeJS.Timeout | undefined;
  #touched: Coalescer | undefined;

  constructor(options: IncludedFilesOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#touched !== undefined) return;
    this.#touched = coalesce(WINDOW_MS, (paths) => this.#drain(paths));
    for (const [owner, paths] of this.#byOwner) for (const path of paths) this.#add(owner, path);
  }

  stop(): void {
    this.#touched?.close();
    this.#touched = undefined;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#failed.clear();
    for (const include of this.#includes.values()) close(include);
    this.#includes.clear();
  }

  /** Absolute paths of files or folders, which need not exist; replaces what was set for that owner. */
  set(owner: string, paths: readonly string[]): void {
    const before = this.#byOwner.get(owner) ?? [];
    if (before.length === paths.length && before.every((path, at) => path === paths[at])) return;
    if (paths.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, [...paths]);
    if (this.#touched === undefined) return;
    for (const path of before) if (!paths.includes(path)) this.#remove(owner, path);
    for (const path of paths) this.#add(owner, path);
  }

  #add(owner: string, path: string): void {
    const include = this.#includes.get(path) ?? { owners: new Set<string>(), watches: [], isThere: false };
    const isNew = include.owners.size === 0;
    include.owners.add(owner);
    this.#includes.set(path, include);
    if (isNew) this.#open(path, include);
    try {
      // The owner read it before it asked for the watch.
      if (changedLately(path)) this.#touched?.add(path);
    } catch (error) {
      this.#fail(path, error);
    }
  }

  #remove(owner: string, path: string): void {
    const include = this.#includes.get(path);
    include?.owners.delete(owner);
    if (include === undefined || include.owners.size > 0) return;
    this.#includes.delete(path);
    close(include);
  }

  #drain(paths: ReadonlySet<string>): void {
    const owners = new Set<string>();
    for (const path of paths) {
      const include = this.#includes.get(path);
      if (include === undefined) continue;
      const wasThere = include.isThere;
      // Anew each time, since it may be another folder, or another link's target, than before; and before it is told,
      // so that nothing is missed between.
      this.#open(path, include);
      if (wasThere || include.isThere) for (const owner of include.owners) owners.add(owner);
    }
    for (const owner of owners) this.#options.onChange(owner);
  }

  #open(path: string, include: Include): void {
    close(include);
    const touch = () => this.#touched?.add(path);
    const fail = (error: unknown) => this.#fail(path, error);
    try {
      include.watches = watchesFor(path, touch, fail);
      include.isThere = statIfThere(path) !== undefined;
    } catch (error) {
      fail(error);
    }
  }

  #fail(path: string, cause: unknown): void {
    if (this.#touched === undefined) return;
    this.#failed.add(path);
    if (this.#retry !== undefined) return;
    const retryInMs = this.#retryTimes.next();
    this.#retry = setTimeout(() => this.#tryAgain(), retryInMs);
    this.#options.onFailure({ cause: new Error(`${path}: can't be watched`, { cause }), retryInMs });
  }

  /** Whoever asked for it reads it again, watched or not. */
  #tryAgain(): void {
    const paths = new Set([...this.#failed].filter((path) => this.#includes.has(path)));
    this.#failed.clear();
    this.#retry = undefined;
    this.#drain(paths);
    if (this.#failed.size > 0) return;
    this.#retryTimes.reset();
    this.#options.onWatched();
  }
}

/** The folder that holds it, and each link's target likewise, there or not; and the folder that it is. */
function watchesFor(path: string, touch: () => void, fail: (error: unknown) => void): FolderWatch[] {
  const beside = (file: string) => {
    const isIt = (name: string) => name === basename(file) || name === basename(dirname(file));
    return watchFolder(dirname(file), (name) => isIt(name) && touch(), fail) ?? watchNearestFolder(file, touch, fail);
  };
  const inside = watchFolder(path, touch, fail);
  return [...linkChain(path).map(beside), ...(inside === undefined ? [] : [inside])];
}

/** The path, where it is a link its target, and so on. */
function linkChain(path: string): readonly string[] {
  const chain = [path];
  for (let last = path; isLink(last); ) {
    last = resolve(realpathSync(dirname(last)), readlinkSync(last));
    if (chain.includes(last)) break;
    chain.push(last);
  }
  return chain;
}

function close(include: Include): void {
  for (const watch of include.watches) watch.close();
  include.watches = [];
}

/** The path, or where it is a folder one of its entries; a removed entry changes the folder. */
function changedLately(path: string): boolean {
  const since = Date.now() - LATELY_MS;
  const stats = statIfThere(path);
  if (stats === undefined || stats.ctimeMs >= since) return stats !== undefined;
  return (
    stats.isDirectory() && readdirSync(path).some((name) => (statIfThere(join(path, name))?.ctimeMs ?? 0) >= since)
  );
}

const isLink = (path: string): boolean => statIfThere(path, lstatSync)?.isSymbolicLink() ?? false;

function statIfThere(path: string, stat: typeof statSync | typeof lstatSync = statSync): Stats | undefined {
  try {
    return stat(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
