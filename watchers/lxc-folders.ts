/** The containers' configurations below the LXC paths, and the files that they include. */
import type { HostEventBus, Watcher } from './events.ts';
import { FolderTree, type FolderTreeOptions } from './folder-tree.ts';
import { IncludedFiles } from './included-files.ts';
import { hasConfig } from './lxc-config/lxc-tree.ts';
import { plainLxcPath } from './lxc-socket-names.ts';
import type { ContainerId } from './running-containers.ts';

export interface LxcFoldersWatcher extends Watcher {
  /** The files and folders (absolute paths) that a container's configuration includes; replaces what was set before. */
  setIncludes(container: ContainerId, files: readonly string[]): void;
}

/**
 * Only LXCPATH, LXCPATH/NAME and what is included are watched: one watch per container, and neither a root file system
 * nor a log beside the configuration causes an event. An LXC path need not exist yet.
 */
export function watchLxcFolders(
  bus: HostEventBus,
  options: { readonly lxcPaths: readonly string[] },
): LxcFoldersWatcher {
  const lxcPaths = [...new Set(options.lxcPaths.map(plainLxcPath))];
  const scanned = new Set<string>();
  /** LXC paths, and '' for what is included. */
  const failing = new Set<string>();
  const fail = (what: string, failure: { readonly cause: Error; readonly retryInMs: number }): void => {
    failing.add(what);
    bus.emit('watcherFailed', { source: 'lxc-config', ...failure });
  };
  const succeed = (what: string): void => {
    failing.delete(what);
    if (scanned.size === lxcPaths.length && failing.size === 0) bus.emit('synced', { source: 'lxc-config' });
  };
  const trees = lxcPaths.map((lxcPath) =>
    watchLxcPath(bus, lxcPath, {
      onScanned: () => {
        scanned.add(lxcPath);
        succeed(lxcPath);
      },
      onFailure: (failure) => fail(lxcPath, failure),
    }),
  );
  const includes = new IncludedFiles({
    onChange: (owner) => bus.emit('containerConfigChanged', containerOf(owner)),
    onFailure: (failure) => fail('', failure),
    onWatched: () => succeed(''),
  });
  return {
    start: async () => {
      includes.start();
      for (const tree of trees) tree.start();
      if (trees.length === 0) bus.emit('synced', { source: 'lxc-config' });
    },
    stop: async () => {
      for (const tree of trees) tree.stop();
      scanned.clear();
      failing.clear();
      includes.stop();
    },
    setIncludes: ({ lxcPath, name }, files) => includes.set(`${plainLxcPath(lxcPath)}/${name}`, files),
  };
}

function watchLxcPath(
  bus: HostEventBus,
  lxcPath: string,
  outcome: Pick<FolderTreeOptions, 'onScanned' | 'onFailure'>,
): FolderTree {
  const tell = (name: string) => bus.emit('containerConfigChanged', { lxcPath, name });
  const told = new Set<string>();
  return new FolderTree({
    root: lxcPath,
    wantsSubfolder: (name) => !name.startsWith('.'),
    wantsEntry: (name) => name === 'config',
    onEntry: (container) => {
      told.add(container);
      tell(container);
    },
    onSubfolder: (name) => {
      // A folder without a configuration is no container (lost+found, or one that lxc-create begins to fill).
      const isContainer = hasConfig(lxcPath, name);
      if (isContainer || told.has(name)) tell(name);
      if (isContainer) told.add(name);
      else told.delete(name);
    },
    ...outcome,
  });
}

function containerOf(owner: string): ContainerId {
  const slash = owner.lastIndexOf('/');
  return { lxcPath: owner.slice(0, slash), name: owner.slice(slash + 1) };
}
