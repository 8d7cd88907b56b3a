/** The containers' configurations below the LXC paths, and the files that they include. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { HostEventBus, Watcher } from './events.ts';
import { FolderTree } from './folder-tree.ts';
import { IncludedFiles } from './included-files.ts';
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
  const trees = lxcPaths.map((lxcPath) =>
    watchLxcPath(bus, lxcPath, () => {
      scanned.add(lxcPath);
      if (scanned.size === lxcPaths.length) bus.emit('synced', { source: 'lxc-config' });
    }),
  );
  const includes = new IncludedFiles({
    onChange: (owner) => bus.emit('containerConfigChanged', containerOf(owner)),
    onFailure: (cause) => bus.emit('watcherFailed', { source: 'lxc-config', cause, retryInMs: null }),
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
      includes.stop();
    },
    setIncludes: ({ lxcPath, name }, files) => includes.set(`${plainLxcPath(lxcPath)}/${name}`, files),
  };
}

function watchLxcPath(bus: HostEventBus, lxcPath: string, onScanned: () => void): FolderTree {
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
      const isContainer = existsSync(join(lxcPath, name, 'config'));
      if (isContainer || told.has(name)) tell(name);
      if (isContainer) told.add(name);
      else told.delete(name);
    },
    onScanned,
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'lxc-config', ...failure }),
  });
}

function containerOf(owner: string): ContainerId {
  const slash = owner.lastIndexOf('/');
  return { lxcPath: owner.slice(0, slash), name: owner.slice(slash + 1) };
}
