/** Beside tests that boot no Debian hosts: begins to make the root folders of those that do, which wait for them. */
import { debianTree } from '../sandbox/debian-tree.ts';

let trees: Promise<unknown> | undefined;

/** vitest calls it once per project. */
export function setup(): void {
  trees = Promise.all([debianTree('bookworm'), debianTree('trixie')]);
  // Told in the end, and by each test that needs them.
  trees.catch(() => undefined);
}

export async function teardown(): Promise<void> {
  await trees;
}
