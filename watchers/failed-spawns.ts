/** Children that can't be started for want of descriptors. */
import { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';

/**
 * execa throws over a child to which Node could not even give pipes (EMFILE, ENFILE), before it listens to that child's
 * 'error', which then ends this process. From now on each child has a listener from its first moment on; whoever started
 * it still gets what execa throws.
 */
export function outliveFailedSpawns(): void {
  subscribe('child_process', (message) => {
    const child = typeof message === 'object' && message !== null && 'process' in message ? message.process : undefined;
    if (child instanceof ChildProcess) child.on('error', () => undefined);
  });
}

/** Why there is no child. What execa throws over one without pipes tells of its own stumbling alone. */
export const whyNotSpawned = (thrown: unknown): unknown =>
  thrown instanceof TypeError && !('code' in thrown) ? new Error('too many open files (EMFILE or ENFILE)') : thrown;
