/** What a daemon would mend at any moment, looked at before it does. */
import type { Routewall } from './routewall.ts';

/** It stands still meanwhile, and goes on whatever becomes of the work. */
export async function whileStopped<T>({ daemon }: Routewall, work: () => Promise<T>): Promise<T> {
  const child = daemon.child();
  child.signal('SIGSTOP');
  try {
    return await work();
  } finally {
    child.signal('SIGCONT');
  }
}
