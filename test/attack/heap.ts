/** What is alive in the daemon's memory. */
import { fileURLToPath } from 'node:url';
import type { Routewall } from '../lxc/routewall.ts';

/** To be loaded into the daemon's process before it. */
export const GAUGE = fileURLToPath(new URL('heap-gauge.mjs', import.meta.url));

/** Bytes that are alive after a collection. */
export async function aliveIn(rw: Routewall): Promise<number> {
  const after = rw.mark();
  rw.daemon.child().signal('SIGUSR2');
  const line = await rw.daemon.child().waitForLine(/^heap-gauge /, { after, timeout: 60_000 });
  return Number(line.split(' ')[1]);
}
