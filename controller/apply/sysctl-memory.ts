/** Remembers what the host's own sysctls were before we changed them, so that a purge of the package can put them back. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from '../read-if-there.ts';
import { realDisk, replaceFile } from '../state/durable-disk.ts';
import { readSysctl, type SysctlDrift, sysctlDevice } from './sysctls.ts';

/** In the run folder, which is as new with each boot as the kernel's settings are. */
const FILE = 'sysctls-before';
/** Writing it sets every interface's and the default's. */
const IPV6_FORWARDING = 'net/ipv6/conf/all/forwarding';

export type RememberSysctls = (changes: readonly SysctlDrift[], ours: ReadonlySet<string>) => Promise<void>;

/**
 * Lines of `KEY BEFORE AFTER` in order of the first change. `ours`: interfaces that take their settings along when they
 * go. @throws Error when it can't be written; then nothing may be changed.
 */
export function openSysctlMemory(runDirectory: string): RememberSysctls {
  const file = join(runDirectory, FILE);
  let known: string | undefined;
  return async (changes, ours) => {
    const candidates = changes.filter(({ key }) => !ours.has(sysctlDevice(key)));
    if (candidates.length === 0) return;
    known ??= await readKnown(file);
    const keys = new Set(known.split('\n').map((line) => line.split(' ')[0]));
    const followers = candidates.some(({ key }) => key === IPV6_FORWARDING) ? await readFollowers(ours) : [];
    const lines = new Map<string, string>();
    // A follower that has our value already is remembered too: putting back what it follows will change it.
    for (const { key, actual, value } of [...candidates, ...followers]) {
      if (actual !== undefined && !keys.has(key)) lines.set(key, `${key} ${actual} ${value}\n`);
    }
    if (lines.size === 0) return;
    const next = known + [...lines.values()].join('');
    await replaceFile(realDisk, file, next);
    known = next;
  };
}

async function readFollowers(ours: ReadonlySet<string>): Promise<Pick<SysctlDrift, 'key' | 'actual' | 'value'>[]> {
  const names = (await readdir('/proc/sys/net/ipv6/conf')).filter((name) => name !== 'all' && !ours.has(name));
  const keys = names.map((name) => `net/ipv6/conf/${name}/forwarding`);
  return keys.map((key) => ({ key, actual: readSysctl(key), value: '1' }));
}

/** A line without an end was cut short: the next one would be taken for a part of it, and neither be put back. */
async function readKnown(file: string): Promise<string> {
  const text = await readIfThere(file).catch((cause: unknown) => {
    throw new Error(`${file}: can't be read`, { cause });
  });
  return text?.slice(0, text.lastIndexOf('\n') + 1) ?? '';
}
