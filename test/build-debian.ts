/** Before tests that boot Debian hosts: makes their root folders, of which two tests at once would make two each. */
import { debianTree } from '../sandbox/debian-tree.ts';

/** vitest calls it once per project. */
export async function setup(): Promise<void> {
  await Promise.all([debianTree('bookworm'), debianTree('trixie')]);
}
