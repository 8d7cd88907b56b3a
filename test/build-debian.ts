/** Begins to make the root folders of Debian hosts, which takes minutes: other tests run meanwhile, and those of hosts wait. */
import { debianTree } from '../sandbox/debian-tree.ts';

/** vitest calls it once per project. */
export function setup(): void {
  // Who needs the folder tries again and tells its own failure.
  for (const release of ['bookworm', 'trixie'] as const)
    debianTree(release).catch((error: unknown) => console.error(`Debian ${release}:`, error));
}
