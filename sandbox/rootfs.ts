/** A container's root folder: one static busybox, hard-linked, and a small init. */
import { existsSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from './clean-up.ts';

const FOLDERS = ['bin', 'dev', 'etc', 'proc', 'run', 'sbin', 'sys', 'tmp'];
const APPLETS = ['sh', 'cat', 'ip', 'nc', 'ping', 'sleep', 'wget', 'arping', 'ps', 'ls', 'echo', 'kill'];

/**
 * `command`, a shell's, runs in the background as init's first instruction. SIGPWR (lxc-stop) ends init at once, SIGINT
 * (lxc-stop -r) reboots. Its output is in /run/boot.log.
 */
const renderInit = (command: string): string => `#!/bin/busybox sh
trap 'exit 0' PWR TERM
trap '/bin/busybox reboot -f' INT
export PATH=/bin
${command === '' ? '' : `{ ${command}\n} >/run/boot.log 2>&1 &`}
while :; do
  busybox sleep 3600 &
  wait $!
done
`;

/** Makes the folder tree. */
export async function makeRootfs(rootfs: string, { command }: { readonly command: string }): Promise<void> {
  for (const folder of FOLDERS) await mkdir(join(rootfs, folder), { recursive: true });
  await link(await sharedBusybox(), join(rootfs, 'bin/busybox'));
  for (const applet of APPLETS) await symlink('busybox', join(rootfs, 'bin', applet));
  await writeFile(join(rootfs, 'sbin/init'), renderInit(command));
  await chmod(join(rootfs, 'sbin/init'), 0o755);
}

let shared: Promise<string> | undefined;

/** Only a copy beside the containers can be linked: /bin may be on another file system. */
async function sharedBusybox(): Promise<string> {
  // A cleaned-up bed took the copy along.
  if (shared !== undefined && existsSync(await shared)) return await shared;
  shared = copyBusybox();
  return await shared;
}

async function copyBusybox(): Promise<string> {
  const copy = join(await makeFolder(), 'busybox');
  await copyFile('/bin/busybox', copy);
  return copy;
}
