/** Removes the cgroups that a killed container leaves behind. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** All whose name begins with the prefix, with what is below them, in every hierarchy; their processes were killed. */
export function removeCgroups(prefix: string): void {
  for (const hierarchy of [ROOT, ...foldersIn(ROOT)]) {
    for (const folder of foldersIn(hierarchy)) {
      if (folder.slice(hierarchy.length + 1).startsWith(prefix)) removeTree(folder);
    }
  }
}

function removeTree(folder: string): void {
  for (const below of foldersIn(folder)) removeTree(below);
  removeSoon(folder);
}

/** A killed process stays in its cgroup until its parent has noticed. */
function removeSoon(folder: string): void {
  for (const deadline = Date.now() + 5_000; ; ) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    // This may run in the last moments of a process, where nothing is awaited any more.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

/** Without links: hierarchies that are mounted together have one for each name. */
function foldersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}
