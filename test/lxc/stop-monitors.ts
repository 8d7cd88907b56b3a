/** A daemon that hears of nothing the kernel does. */
import { readFile } from 'node:fs/promises';
import type { Routewall } from './routewall.ts';

/** Nothing tells the daemon of the kernel's state from then on. @returns how many were stopped. */
export async function stopMonitors({ daemon }: Routewall): Promise<number> {
  const { pid } = daemon.child();
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
  let count = 0;
  for (const child of children) {
    const command = (await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (!/\bmonitor\b|watches neighbour proxies/.test(command)) continue;
    process.kill(Number(child), 'SIGSTOP');
    count += 1;
  }
  return count;
}
