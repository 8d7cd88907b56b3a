/** The sysctls of enforced interfaces: each is written once, and again where someone else changed it. */
import type { DesiredState, Sysctl } from '../../render/desired.ts';
import { isMarked } from '../kernel/netlink-marks.ts';
import { type Log, messageOf } from '../log.ts';
import { rememberLast } from '../remember.ts';
import { RefusedLines } from './refused-lines.ts';
import type { RememberSysctls } from './sysctl-memory.ts';
import { readSysctlDrift, type SysctlDrift, sysctlDevice, writeSysctls } from './sysctls.ts';

export class NicSysctls {
  readonly #log: Log;
  readonly #remember: RememberSysctls | undefined;
  /** Values by key, so that an ordinary change reads only what is new. */
  readonly #written = new Map<string, string>();
  /** A comparison is to try these again. */
  readonly refused = new RefusedLines();
  readonly #unmarked = rememberLast((enforced: DesiredState) =>
    uniqueSysctls(enforced).filter(({ key }) => !isMarked(key)),
  );

  constructor(log: Log, remember: RememberSysctls | undefined) {
    this.#log = log;
    this.#remember = remember;
  }

  /** What `part` needs and isn't known to be set. `before`: everything that was enforced, which `part` joins. */
  async write(part: DesiredState, before: DesiredState | undefined): Promise<void> {
    const fresh = uniqueSysctls(part).filter(({ key, value }) => this.#written.get(key) !== value);
    const changes = await readDrift(fresh);
    // What only its own veths are to have is nobody's to be put back, and needs no look at all the others.
    const own = vethsOf(part);
    const others = changes.filter(({ key }) => !own.has(sysctlDevice(key)));
    if (others.length > 0) await this.#remember?.(others, vethsOf(part, before));
    // The kernel tells of each while the others are still being written.
    for (const { key, value } of fresh) this.#written.set(key, value);
    const failed = await writeSysctls(changes);
    for (const { sysctl } of failed) this.#written.delete(sysctl.key);
    const failures = failed.map(({ sysctl, cause }) => ({
      line: settingLine(sysctl),
      message: `${messageOf(cause)} (${sysctl.reason})`,
    }));
    for (const { line, message } of this.refused.note(fresh.map(settingLine), failures))
      this.#log('error', `sysctl ${line}: ${message}`);
  }

  /** Whether there are some, and each was written so. What the kernel tells later it tells again. */
  isWritten(values: ReadonlyMap<string, string>): boolean {
    return values.size > 0 && [...values].every(([key, value]) => this.#written.get(key) === value);
  }

  /** Another link by the same name has the kernel's settings, not ours. */
  forget({ nics }: DesiredState): void {
    for (const { hostVeth, sysctls } of nics.values())
      for (const { key } of sysctls) if (sysctlDevice(key) === hostVeth) this.#written.delete(key);
  }

  /** Of what no mark of the kernel's tells. */
  async hasUnmarkedDrift(enforced: DesiredState): Promise<boolean> {
    return (await readDrift(this.#unmarked(enforced))).length > 0;
  }

  /** `wanted`: what of it still is in force, behind the reading. */
  async hasDrift(enforced: DesiredState, wanted: () => Promise<DesiredState>): Promise<boolean> {
    const drifted = await readDrift(uniqueSysctls(enforced));
    if (drifted.length === 0) return false;
    const keys = new Set(uniqueSysctls(await wanted()).map(({ key }) => key));
    return drifted.some(({ key }) => keys.has(key));
  }

  /** The next `write` looks at all of them. @returns lines for those that it will write. */
  async reread(enforced: DesiredState): Promise<string[]> {
    this.#written.clear();
    const lines = (await readDrift(uniqueSysctls(enforced))).map(settingLine);
    this.refused.settle(lines);
    return lines;
  }

  /**
   * Puts back what someone else changed. `devs`: of these interfaces alone, of which `part` has the settings.
   * @returns lines for what was written, but for what is refused or was until now.
   */
  async repair(enforced: DesiredState, part = enforced, devs?: ReadonlySet<string>): Promise<string[]> {
    const drifted = await readDrift(uniqueSysctls(part, devs));
    if (drifted.length === 0) return [];
    for (const { key } of drifted) this.#written.delete(key);
    const waited = this.refused.lines;
    await this.write(part, enforced);
    const refused = new Set([...waited, ...this.refused.lines]);
    return drifted.map(settingLine).filter((line) => !refused.has(line));
  }
}

/** They take their settings along when they go. */
const vethsOf = (...states: readonly (DesiredState | undefined)[]): Set<string> =>
  new Set(states.flatMap((state) => [...(state?.nics.values() ?? [])].map(({ hostVeth }) => hostVeth)));

const readDrift = async (sysctls: Iterable<Sysctl>): Promise<SysctlDrift[]> =>
  (await readSysctlDrift(sysctls)).filter(mustWrite);

/** An interface that is gone has no sysctls; a value that only replaces another leaves the administrator's alone. */
const mustWrite = ({ actual, replaces }: SysctlDrift): boolean =>
  actual !== undefined && (replaces === undefined || actual === replaces);

export const settingLine = ({ key, value }: Sysctl): string => `${key} = ${value}`;

/** `devs`: those of these interfaces alone. */
export function uniqueSysctls(enforced: DesiredState, devs?: ReadonlySet<string>): Sysctl[] {
  const unique = new Map<string, Sysctl>();
  for (const { sysctls } of enforced.nics.values())
    for (const sysctl of sysctls) if (devs === undefined || devs.has(deviceOf(sysctl))) unique.set(sysctl.key, sysctl);
  return [...unique.values()];
}

/** Found once for each, since all are asked. */
export function deviceOf(sysctl: Sysctl): string {
  const device = devices.get(sysctl) ?? sysctlDevice(sysctl.key);
  devices.set(sysctl, device);
  return device;
}

const devices = new WeakMap<Sysctl, string>();
