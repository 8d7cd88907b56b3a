/** Children that can't be started for want of descriptors. */
import { ChildProcess } from 'node:child_process';

/** What `spawn()` calls of a new child. Node 18 has no other place from which a child is seen before it fails. */
interface Spawning {
  spawn(this: ChildProcess, ...words: unknown[]): unknown;
}

let areOutlived = false;

/**
 * execa throws over a child to which Node could not even give pipes (EMFILE, ENFILE), before it listens to that child's
 * 'error', which then ends this process. From now on each child has a listener from its first moment on; whoever started
 * it still gets what execa throws.
 */
export function outliveFailedSpawns(): void {
  if (areOutlived) return;
  areOutlived = true;
  const made = ChildProcess.prototype as unknown as Spawning;
  const { spawn } = made;
  made.spawn = function (...words) {
    this.on('error', () => undefined);
    return spawn.apply(this, words);
  };
}

/** Why there is no child. What execa throws over one without pipes tells of its own stumbling alone. */
export const whyNotSpawned = (thrown: unknown): unknown =>
  thrown instanceof TypeError && !('code' in thrown) ? new Error('too many open files (EMFILE or ENFILE)') : thrown;
