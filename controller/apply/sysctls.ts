/** Reads and writes the sysctls that routed containers need; /proc/sys/net shows the reader's own network namespace. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Sysctl } from '../../render/desired.ts';
import { errorCode } from '../../watchers/error-code.ts';

export interface SysctlDrift extends Sysctl {
  /** `undefined`: the interface is gone. */
  readonly actual: string | undefined;
}

/** After so many, others have their turn on the event loop. */
const AT_ONCE = 500;
const TURN_MS = 5;

/** The ones whose value is another. */
export async function readSysctlDrift(sysctls: Iterable<Sysctl>): Promise<SysctlDrift[]> {
  const drift: SysctlDrift[] = [];
  let count = 0;
  for (const sysctl of sysctls) {
    const actual = readSysctl(sysctl.key);
    if (actual !== sysctl.value) drift.push({ ...sysctl, actual });
    count += 1;
    if (count % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return drift;
}

/**
 * The kernel answers from memory in some microseconds, where the thread pool takes 100 for a file and waits behind others.
 * @returns undefined where there is no such key, as for an interface that just went.
 */
export function readSysctl(key: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${key}`, 'utf8').trim();
  } catch (cause) {
    if (isGone(cause)) return undefined;
    throw new Error(`sysctl ${key}: can't be read`, { cause });
  }
}

/**
 * In this thread, as they are read: the thread pool takes several times as long for each (bench/README.md).
 * @returns what could not be written; an interface that is gone is no failure.
 */
export async function writeSysctls(sysctls: Iterable<Sysctl>): Promise<{ sysctl: Sysctl; cause: Error }[]> {
  const failed: { sysctl: Sysctl; cause: Error }[] = [];
  let turn = performance.now();
  for (const sysctl of sysctls) {
    try {
      writeFileSync(`/proc/sys/${sysctl.key}`, sysctl.value, { flag: 'r+' });
    } catch (cause) {
      if (!isGone(cause)) failed.push({ sysctl, cause: cause instanceof Error ? cause : new Error(String(cause)) });
    }
    // Forwarding waits for whoever changes links at the moment, so that a number of them says little.
    if (performance.now() - turn < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turn = performance.now();
  }
  return failed;
}

/** `net/ipv4/conf/eth0/forwarding` */
export const sysctlDevice = (key: string): string => key.split('/')[3] ?? '';

const isGone = (cause: unknown): boolean => ['ENOENT', 'ENODEV'].includes(errorCode(cause));
