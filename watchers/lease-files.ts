/** The files in which DHCP servers of bridges write down what they lease. */
import { basename, dirname } from 'node:path';
import type { HostEventBus, Watcher } from './events.ts';
import { FollowedFolders } from './followed-folders.ts';

export interface LeaseFiles extends Watcher {
  /** Absolute paths, all in one folder; without any, nothing is watched. */
  setFiles(files: readonly string[]): void;
}

/** dnsmasq writes its file anew in place, at each lease and each renewal. */
export function watchLeaseFiles(bus: HostEventBus): LeaseFiles {
  let wanted: ReadonlySet<string> = new Set();
  let followed: FollowedFolders | undefined;
  let isStarted = false;
  const begin = (folder: string): FollowedFolders => {
    const started = new FollowedFolders({
      folders: [folder],
      isWanted: (_, name) => wanted.has(name),
      onTouched: () => bus.emit('leasesChanged', {}),
      onSynced: () => bus.emit('leasesChanged', {}),
      onFailure: (failure) => bus.emit('watcherFailed', { source: 'leases', ...failure }),
    });
    started.start();
    return started;
  };
  return {
    setFiles: (files) => {
      wanted = new Set(files.map((file) => basename(file)));
      const [first] = files;
      if (isStarted && first !== undefined) followed ??= begin(dirname(first));
    },
    start: async () => {
      isStarted = true;
    },
    stop: async () => {
      isStarted = false;
      await followed?.stop();
      followed = undefined;
    },
  };
}
