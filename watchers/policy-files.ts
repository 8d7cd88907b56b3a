/** The policy folder and the main configuration file. */
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { HostEventBus, Watcher } from './events.ts';
import { type FileSignature, isLink, readFileSignature, readFolderSignature } from './file-signature.ts';
import { FollowedFolders } from './followed-folders.ts';
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
export function watchPolicyFiles(bus: HostEventBus, options: PolicyFilesOptions): Watcher {
  const [root, configFile] = [resolve(options.policyFolder), resolve(options.configFile)];
  const subfolders = SUBFOLDERS.map((name) => join(root, name));
  const isWanted = (folder: string, name: string) =>
    (subfolders.includes(folder) && !isTemporaryName(name)) ||
    (folder === root && SERVICES.test(name)) ||
    join(folder, name) === configFile;

  const seen = new Map<string, FileSignature>();
  // A policy that is kept elsewhere and linked here: chokidar follows the link, but not through its target's absence.
  const links = new IncludedFiles({
    onChange: (file) => look(file),
    onFailure: (failure) => fail('links', failure),
    onWatched: () => succeed('links'),
  });
  const failing = new Set<'links' | 'folders'>(['folders']);
  const fail = (what: 'links' | 'folders', failure: { readonly cause: Error; readonly retryInMs: number }): void => {
    failing.add(what);
    bus.emit('watcherFailed', { source: 'policy-files', ...failure });
  };
  const succeed = (what: 'links' | 'folders'): void => {
    failing.delete(what);
    if (failing.size === 0) bus.emit('synced', { source: 'policy-files' });
  };
  const deferred = new Set<string>();
  // However many events one change causes, it is told once.
  const look = (file: string) => {
    const before = seen.get(file);
    // The target's watch comes before the look: what is written later is seen.
    links.set(file, isLink(file) ? [file] : []);
    const now = readFileSignature(file);
    // In the midst of a change, seen on another's behalf: its own event would tell it again. Once only, as it may go on.
    if (before !== undefined && now?.isSettled === false && !deferred.has(file)) {
      deferred.add(file);
      followed.touch(file);
      return;
    }
    deferred.delete(file);
    if (now === undefined) seen.delete(file);
    else seen.set(file, now);
    if (before?.text !== now?.text || now?.isSettled === false) bus.emit('policyFileChanged', { file });
  };
  const isAbsent = (folder: string): boolean => readFolderSignature(folder) === undefined;
  const absent = new Set<string>();
  const lookThrough = (folder: string) => {
    const before = [...seen.keys()].filter((file) => dirname(file) === folder);
    const present = listFolder(folder).filter((name) => isWanted(folder, name));
    for (const file of new Set([...before, ...present.map((name) => join(folder, name))])) look(file);
    if (isAbsent(folder)) absent.add(folder);
    // An empty folder where there was none has a meaning of its own.
    else if (absent.delete(folder) && present.length === 0) bus.emit('policyFileChanged', { file: folder });
  };
  const folders = [...new Set([...subfolders, root, dirname(configFile)])];
  const followed = new FollowedFolders({
    folders,
    isWanted,
    onTouched: (paths) => {
      for (const path of paths) {
        if (folders.includes(path)) lookThrough(path);
        else look(path);
      }
    },
    onSynced: () => succeed('folders'),
    onFailure: (failure) => fail('folders', failure),
  });
  return {
    start: async () => {
      for (const folder of subfolders.filter(isAbsent)) absent.add(folder);
      links.start();
      followed.start();
    },
    stop: async () => {
      links.stop();
      failing.delete('links');
      await followed.stop();
      seen.clear();
      absent.clear();
      deferred.clear();
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
