/** Reads and writes the sysctls that routed containers need; /proc/sys/net shows the reader's own network namespace. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Sysctl } from '../render/desired.ts';

export interface SysctlDrift extends Sysctl {
  /** `undefined`: the interface is gone. */
  readonly actual: string | undefined;
}

/** The ones whose value is another. */
export async function readSysctlDrift(sysctls: Iterable<Sysctl>): Promise<SysctlDrift[]> {
  const drift: SysctlDrift[] = [];
  for (const sysctl of sysctls) {
    const actual = await readSysctl(sysctl.key);
    if (actual !== sysctl.value) drift.push({ ...sysctl, actual });
  }
  return drift;
}

/** @returns undefined where there is no such key, as for an interface that just went. */
export async function readSysctl(key: string): Promise<string | undefined> {
  try {
    return (await readFile(`/proc/sys/${key}`, 'utf8')).trim();
  } catch (cause) {
    if (isGone(cause)) return undefined;
    throw new Error(`sysctl ${key}: can't be read`, { cause });
  }
}

/** @returns what could not be written; an interface that is gone is no failure. */
export async function writeSysctls(sysctls: Iterable<Sysctl>): Promise<{ sysctl: Sysctl; cause: Error }[]> {
  const failed: { sysctl: Sysctl; cause: Error }[] = [];
  for (const sysctl of sysctls) {
    try {
      await writeFile(`/proc/sys/${sysctl.key}`, sysctl.value, { flag: 'r+' });
    } catch (cause) {
      if (!isGone(cause)) failed.push({ sysctl, cause: cause instanceof Error ? cause : new Error(String(cause)) });
    }
  }
  return failed;
}

const isGone = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENODEV');
