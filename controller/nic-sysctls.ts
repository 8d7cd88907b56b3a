/** The sysctls of enforced interfaces: each is written once, and again where someone else changed it. */
import type { DesiredState, Sysctl } from '../render/desired.ts';
import { type Log, messageOf } from './log.ts';
import type { RememberSysctls } from './sysctl-memory.ts';
import { readSysctlDrift, type SysctlDrift, writeSysctls } from './sysctls.ts';

export class NicSysctls {
  readonly #log: Log;
  readonly #remember: RememberSysctls | undefined;
  /** Values by key, so that an ordinary change reads only what is new. */
  readonly #written = new Map<string, string>();

  constructor(log: Log, remember: RememberSysctls | undefined) {
    this.#log = log;
    this.#remember = remember;
  }

  async write(enforced: DesiredState): Promise<void> {
    const fresh = uniqueSysctls(enforced).filter(({ key, value }) => this.#written.get(key) !== value);
    const changes = await readDrift(fresh);
    await this.#remember?.(changes, new Set([...enforced.nics.values()].map(({ hostVeth }) => hostVeth)));
    const failed = await writeSysctls(changes);
    for (const { key, value } of fresh) this.#written.set(key, value);
    for (const { sysctl, cause } of failed) {
      this.#written.delete(sysctl.key);
      this.#log('error', `sysctl ${sysctl.key} = ${sysctl.value}: ${messageOf(cause)} (${sysctl.reason})`);
    }
  }

  /** The next `write` looks at all of them. @returns lines for those that it will write. */
  async reread(enforced: DesiredState): Promise<string[]> {
    this.#written.clear();
    return (await readDrift(uniqueSysctls(enforced))).map(settingLine);
  }

  /** Puts back what someone else changed. @returns lines for those that were written. */
  async repair(enforced: DesiredState): Promise<string[]> {
    const drifted = await readDrift(uniqueSysctls(enforced));
    for (const { key } of drifted) this.#written.delete(key);
    if (drifted.length > 0) await this.write(enforced);
    return drifted.map(settingLine);
  }
}

const readDrift = async (sysctls: Iterable<Sysctl>): Promise<SysctlDrift[]> =>
  (await readSysctlDrift(sysctls)).filter(mustWrite);

/** An interface that is gone has no sysctls; a value that only replaces another leaves the administrator's alone. */
const mustWrite = ({ actual, replaces }: SysctlDrift): boolean =>
  actual !== undefined && (replaces === undefined || actual === replaces);

export const settingLine = ({ key, value }: Sysctl): string => `${key} = ${value}`;

export function uniqueSysctls(enforced: DesiredState): Sysctl[] {
  const unique = new Map<string, Sysctl>();
  for (const { sysctls } of enforced.nics.values()) for (const sysctl of sysctls) unique.set(sysctl.key, sysctl);
  return [...unique.values()];
}
