/** What the daemon compiles from, for a command that must not ask it. */
import { join } from 'node:path';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { realDisk } from '../state/durable-disk.ts';
import { readJournal } from './journal.ts';
import { digestOf } from './revision.ts';
import { RevisionStore } from './revision-store.ts';
import { type Following, hasContainers } from './revisions.ts';

/** `disk`: the files as they are, which are in force where they are followed. @throws Error for a damaged revision */
export async function readFilesInForce(
  stateDirectory: string,
  disk: PolicyFiles,
  { autoApply, isFolderMissing }: Following,
): Promise<PolicyFiles> {
  const folder = join(stateDirectory, 'revisions');
  const journal = await readJournal(join(folder, 'journal.json'));
  if (journal === undefined || journal.inForce === null) return disk;
  const isFollowed = autoApply && journal.unconfirmed === null && journal.refused !== digestOf(disk);
  if (isFollowed && !isFolderMissing) return disk;
  const { files } = await new RevisionStore(folder, realDisk).read(journal.inForce);
  return isFollowed && !hasContainers(files) ? disk : files;
}
