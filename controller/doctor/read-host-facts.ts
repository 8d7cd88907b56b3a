/** Reads the host's settings, programs and files; changes nothing. */
import { access, readdir, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import type { Run } from '../commands/run.ts';
import { BRIDGE_KEYS } from './bridge-neighbours.ts';
import type { HostFacts } from './examine-host.ts';
import type { SysctlFacts } from './examine-sysctls.ts';
import type { Versioned, Versions } from './examine-versions.ts';
import { parseNetworkFiles, parseSysctlFiles, type Setting, type SettingFile } from './setting-files.ts';

/** `keys`: below /proc/sys, besides those that any host is asked about. */
export async function readSysctls(keys: Iterable<string>, uplinks: readonly string[]): Promise<SysctlFacts['sysctl']> {
  const reverse = ['all', ...uplinks].map((name) => `net/ipv4/conf/${name}/rp_filter`);
  const values = new Map<string, string>();
  for (const key of new Set([...reverse, ...BRIDGE_KEYS, ...keys])) {
    const value = await readText(`/proc/sys/${key}`);
    if (value !== undefined) values.set(key, value.trim());
  }
  return (key) => values.get(key);
}

/** A file in an earlier folder takes the place of its namesakes; a link to /dev/null is an empty one. See sysctl.d(5). */
const SYSCTL_FOLDERS = ['/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d'];
const NETWORK_FOLDERS = ['/etc/systemd/network', '/run/systemd/network', '/usr/lib/systemd/network'];
/** There since systemd-networkd first ran. */
const NETWORKD = '/run/systemd/netif/links';

export async function readSettings(): Promise<Setting[]> {
  const sysctl = await readFolders(SYSCTL_FOLDERS, '.conf');
  // procps reads it last; Debian has it among systemd's by a link, up to release 12.
  const last = await readText('/etc/sysctl.conf');
  const byNetworkd = await access(NETWORKD).then(
    () => true,
    () => false,
  );
  return [
    ...parseSysctlFiles([...sysctl, ...(last === undefined ? [] : [{ path: '/etc/sysctl.conf', text: last }])]),
    ...(byNetworkd ? parseNetworkFiles(await readFolders(NETWORK_FOLDERS, '.network')) : []),
  ];
}

async function readFolders(folders: readonly string[], suffix: string): Promise<SettingFile[]> {
  const files = new Map<string, string>();
  for (const folder of folders) {
    const names = await readdir(folder).catch((): string[] => []);
    for (const name of names.filter((name) => name.endsWith(suffix)))
      if (!files.has(name)) files.set(name, join(folder, name));
  }
  const read = [...files.values()]
    .sort((a, b) => (basename(a) < basename(b) ? -1 : 1))
    .map(async (path) => ({ path, text: (await readText(path)) ?? '' }));
  return await Promise.all(read);
}

const ASKED: readonly (readonly [of: Versioned, command: string, option: string, pattern: RegExp])[] = [
  ['nft', 'nft', '--version', /v(\d+(?:\.\d+)*)/],
  ['iproute2', 'ip', '-V', /iproute2-(\d+(?:\.\d+)*)/],
  ['LXC', 'lxc-info', '--version', /^(\d+(?:\.\d+)*)/],
];

export async function readVersions(run: Run): Promise<Versions> {
  const versions = new Map<Versioned, string>([['kernel', release()]]);
  for (const [of, command, option, pattern] of ASKED) {
    // One that isn't there is told as missing.
    const said = await run(command, [option]).catch(() => undefined);
    const version = pattern.exec(said?.stdout ?? '')?.[1];
    if (version !== undefined) versions.set(of, version);
  }
  return versions;
}

export const PROGRAMS = [
  { program: 'nft', why: 'nothing is filtered', package: 'nftables' },
  { program: 'ip', why: 'no routes', package: 'iproute2' },
  { program: 'lxc-monitor', why: 'starts are seen late', package: 'lxc' },
  {
    program: 'perl',
    why: 'LXC is not asked what runs, connections that a policy no longer allows go on, and nothing is announced',
    package: 'perl-base',
  },
];

export async function missingPrograms(): Promise<HostFacts['missing']> {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`
    .split(':')
    .filter((folder) => folder !== '');
  const isThere = (program: string): Promise<boolean> =>
    Promise.any(folders.map((folder) => access(`${folder}/${program}`))).then(
      () => true,
      () => false,
    );
  const found = await Promise.all(PROGRAMS.map(({ program }) => isThere(program)));
  return PROGRAMS.filter((_, index) => found[index] !== true);
}

const readText = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
