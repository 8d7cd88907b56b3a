/** The policy folder and the main configuration file. */
import { lstatSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { HostEventBus, Watcher } from './events.ts';
import { FolderTree } from './folder-tree.ts';
import { isMissing } from './folder-watch.ts';
import { IncludedFiles } from './included-files.ts';

const SUBFOLDERS: readonly string[] = ['containers', 'profiles', 'sets'];
const SERVICES = /^services\.(?:ya?ml|json)$/;
// vim's swap files and its test file 4913, emacs' locks and autosaves, backups, dpkg's and rpm's leftovers.
const TEMPORARY = /^\.|^#.*#$|~$|^4913$|\.(?:sw[a-z]|tmp|bak|orig|rej|dpkg-[a-z]+|ucf-[a-z]+|rpm(?:save|new|orig))$/;

/** Names that editors and package tools leave beside a file, and hidden ones; none of them is a policy. */
export const isTemporaryName = (name: string): boolean => TEMPORARY.test(name);

export interface PolicyFilesOptions {
  /** Holds containers/, profiles/, sets/ and services.yaml; absolute. */
  readonly policyFolder: string;
  /** The main configuration file; absolute, anywhere. */
  readonly configFile: string;
}

/** Neither the folders nor the files need exist yet. `synced` comes when both places are looked through. */
export function watchPolicyFiles(bus: HostEventBus, { policyFolder, configFile }: PolicyFilesOptions): Watcher {
  const scanned = new Set<string>();
  const onScanned = (place: string) => {
    scanned.add(place);
    if (scanned.size === 2) bus.emit('synced', { source: 'policy-files' });
  };
  const trees = [
    watchFiles(
      bus,
      dirname(configFile),
      [],
      (name) => name === basename(configFile),
      () => onScanned('config'),
    ),
    watchFiles(
      bus,
      policyFolder,
      SUBFOLDERS,
      (name) => SERVICES.test(name),
      () => onScanned('policies'),
    ),
  ];
  return {
    start: async () => {
      for (const tree of trees) tree.start();
    },
    stop: async () => {
      for (const tree of trees) tree.stop();
      scanned.clear();
    },
  };
}

function watchFiles(
  bus: HostEventBus,
  root: string,
  subfolders: readonly string[],
  isWantedInRoot: (name: string) => boolean,
  onScanned: () => void,
): Pick<FolderTree, 'start' | 'stop'> {
  const known = new Map<string, Set<string>>();
  const tell = (file: string) => bus.emit('policyFileChanged', { file });
  // A policy that is kept elsewhere and linked here changes without an event here.
  const links = new IncludedFiles({
    onChange: tell,
    onFailure: (cause) => bus.emit('watcherFailed', { source: 'policy-files', cause, retryInMs: null }),
  });
  const touch = (folder: string, name: string) => {
    const file = join(root, folder, name);
    links.set(file, isLink(file) ? [file] : []);
    tell(file);
  };
  const wantsEntry = (folder: string, name: string) =>
    folder === '' ? isWantedInRoot(name) : name !== folder && !isTemporaryName(name);
  const tellFolder = (folder: string) => {
    const present = listFolder(join(root, folder)).filter((name) => wantsEntry(folder, name));
    const before = known.get(folder) ?? new Set();
    known.set(folder, new Set(present));
    // Also those that went with the folder.
    for (const name of new Set([...before, ...present])) touch(folder, name);
  };
  const tree = new FolderTree({
    root,
    wantsSubfolder: (name) => subfolders.includes(name),
    wantsEntry,
    onEntry: (folder, name) => {
      known.set(folder, (known.get(folder) ?? new Set()).add(name));
      touch(folder, name);
    },
    onSubfolder: tellFolder,
    onScanned: () => {
      tellFolder('');
      onScanned();
    },
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'policy-files', ...failure }),
  });
  return {
    start: () => {
      links.start();
      tree.start();
    },
    stop: () => {
      tree.stop();
      links.stop();
    },
  };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    // Gone again, or closed to us: its files are told as changed, and reading them says what is wrong.
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

function isLink(file: string): boolean {
  try {
    return lstatSync(file).isSymbolicLink();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
