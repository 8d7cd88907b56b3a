/** Keeps tc as the limits and wires want it: reads what concerns a change, and writes what differs. */
import type { DesiredState } from '../../render/desired.ts';
import type { InterfaceName } from '../../render/names.ts';
import {
  changedDevices,
  NO_TRAFFIC,
  planTraffic,
  type Traffic,
  type TrafficDevice,
  type TrafficFailure,
  trafficOf,
} from '../../render/traffic.ts';
import { parseFailures } from '../ip-channel.ts';
import type { Run } from '../run.ts';
import { readTraffic } from './read-traffic.ts';
import type { TrafficMemory } from './traffic-memory.ts';

type Nics = DesiredState['nics'];

/** Another link may have been made under the name meanwhile, or none: its own event follows. */
const GONE = /Cannot find device|No such device|Cannot find specified/;

export class TrafficControl {
  readonly #run: Run;
  readonly #memory: TrafficMemory;
  #wanted: Traffic = NO_TRAFFIC;
  /** By interface: why a part of what it shall have isn't in force. */
  readonly #failures = new Map<InterfaceName, TrafficFailure[]>();

  constructor(run: Run, memory: TrafficMemory) {
    this.#run = run;
    this.#memory = memory;
  }

  /** As it was found or left when it was last looked at. */
  get failures(): readonly TrafficFailure[] {
    return [...this.#failures.values()].flat();
  }

  /** Whether anything is limited or wired at all. */
  get isUsed(): boolean {
    return this.#wanted.devices.size > 0;
  }

  /** Whether tc shall hold something of ours there. */
  concerns(dev: string): boolean {
    return [...this.#wanted.devices.keys()].some((name) => name === dev);
  }

  /** After a change of these NICs, or of wires. @returns what was written. */
  async follow(before: DesiredState, after: DesiredState, keys: readonly string[]): Promise<string[]> {
    const pick = (nics: Nics) => keys.flatMap((key) => nics.get(key) ?? []);
    const wires = before.wires === after.wires ? [] : [before.wires ?? [], after.wires ?? []];
    const devs = changedDevices(pick(before.nics), pick(after.nics), wires);
    if (devs.size === 0) return [];
    this.#wanted = trafficOf(after);
    return await this.#settle(devs);
  }

  /** Believes nothing: looks at every interface, also for what an earlier run left. @returns what was written. */
  async resync(desired: DesiredState): Promise<string[]> {
    this.#wanted = trafficOf(desired);
    if (!this.isUsed && !(await this.#memory.isMarked())) return [];
    const written = await this.#settle(undefined);
    if (!this.isUsed) await this.#memory.unmark();
    return written;
  }

  /** Looks again at those of these interfaces that concern us. @returns what was written. */
  async verify(devs: ReadonlySet<string>): Promise<string[]> {
    const ours = [...this.#wanted.devices].filter(([dev, { redirect }]) => devs.has(dev) || devs.has(redirect ?? ''));
    return ours.length === 0 ? [] : await this.#settle(new Set(ours.flatMap(namesOf)));
  }

  /** `devs`: all, where that is left out. */
  async #settle(devs: ReadonlySet<InterfaceName> | undefined): Promise<string[]> {
    const observed = await readTraffic(this.#run, devs);
    const looked = devs ?? new Set([...observed.devices.keys(), ...this.#wanted.devices.keys()]);
    const { withdraw, links, bring, refused } = planTraffic(observed, this.#wanted, looked);
    // Before the first line: what a crash leaves after it is found by this.
    if (links.length + bring.length > 0) await this.#memory.mark();
    const failed = [
      ...(await this.#batch('tc', withdraw)),
      ...(await this.#batch('ip', links)),
      ...(await this.#batch('tc', bring)),
    ];
    for (const dev of looked) this.#failures.delete(dev);
    for (const failure of [...refused, ...failed]) {
      this.#failures.set(failure.dev, [...(this.#failures.get(failure.dev) ?? []), failure]);
    }
    return [...withdraw, ...links, ...bring];
  }

  async #batch(command: 'ip' | 'tc', lines: readonly string[]): Promise<TrafficFailure[]> {
    if (lines.length === 0) return [];
    const { stderr } = await this.#run(command, ['-force', '-batch', '-'], { input: `${lines.join('\n')}\n` });
    return parseFailures(stderr, lines, lines.length + 1)
      .filter(({ message }) => !GONE.test(message))
      .flatMap(({ line, message }) => this.#failureOf(command, line, message));
  }

  #failureOf(command: string, line: string, message: string): TrafficFailure[] {
    const name = / (?:dev|name) (\S+)/.exec(line)?.[1];
    const dev = [...this.#wanted.devices.keys()].find((each) => each === name);
    // An address that an ifb keeps disturbs nobody.
    if (dev === undefined || line.includes('addrgenmode')) return [];
    const part: keyof TrafficDevice = / ingress\b/.test(line) ? 'redirect' : 'rate';
    const lack = LACKING.exec(message) === null ? '' : `; ${neededBy(line)}`;
    return [{ dev, part, why: `${command} ${line}: ${message}${lack}` }];
  }
}

const namesOf = ([dev, { redirect }]: readonly [InterfaceName, TrafficDevice]): InterfaceName[] =>
  redirect === undefined ? [dev] : [dev, redirect];

/** What the kernel says of a module that it doesn't have. */
const LACKING = /kind is unknown|Unknown device type|Operation not supported|No such file or directory|Failed to load/;

function neededBy(line: string): string {
  const module = line.includes(' type ifb') ? 'ifb' : line.includes(' tbf ') ? 'sch_tbf' : 'sch_ingress, cls_u32 or act_mirred';
  return `this kernel has no ${module}: modprobe says why`;
}
