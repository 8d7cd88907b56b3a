/** A daemon as its package starts it: with the launcher's flags, and with a run directory in memory, where systemd has /run. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { atEnd, makeFolder } from '../sandbox/clean-up.ts';
import { run } from '../sandbox/run.ts';
import type { RoutewallOptions } from '../test/lxc/routewall.ts';

export async function packagedFlags(): Promise<string[]> {
  const launcher = await readFile(resolve('packaging/root/usr/sbin/routewall'), 'utf8');
  return [...launcher.matchAll(/--[a-z-]*(?:size|space)[a-z-]*(?:=\d+)?/g)].map(([flag]) => flag);
}

/** Each transaction is a file there: on a disk, the daemon may have to wait for others' writing. */
export async function runDirectory(): Promise<{ readonly RUNTIME_DIRECTORY: string }> {
  const folder = await makeFolder();
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', folder]);
  atEnd(`unmount ${folder}`, async () => void (await run('umount', ['-l', folder])));
  return { RUNTIME_DIRECTORY: folder };
}

export const asPackaged = async (): Promise<Pick<RoutewallOptions, 'env' | 'daemonEnv'>> => ({
  env: await runDirectory(),
  daemonEnv: { NODE_OPTIONS: (await packagedFlags()).join(' ') },
});
