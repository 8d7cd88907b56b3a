/** Keeps tc as the limits and wires want it: reads what concerns a change, and writes what differs. */
import type { DesiredState, Wire } from '../../render/desired.ts';
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
import { parseFailures } from '../commands/ip-channel.ts';
import { abortable, orUnread, patiently, Unread, type Wait } from '../commands/reading.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { messageOf } from '../log.ts';
import { readTraffic } from './read-traffic.ts';
import type { TrafficMemory } from './traffic-memory.ts';
import { readNarrowness, renderPromiscuous, silence } from './wire-ends.ts';

/** Another link may have been made under the name meanwhile, or none: its own event follows. */
const GONE = /Cannot find device|No such device|Cannot find specified/;

export interface TrafficRequest {
  /** Everything is to be compared. */
  readonly resync: boolean;
  /** Interfaces that may have been made anew under their name. */
  readonly links: ReadonlySet<string>;
  /** Interfaces on which somebody changed something of tc's. */
  readonly edited: ReadonlySet<string>;
}

export class TrafficControl {
  readonly #run: Run;
  readonly #memory: TrafficMemory;
  /** Of the present look: ends what hangs in it. What it had done by half is found by the next one, which believes nothing. */
  #signal: AbortSignal | undefined;
  /** What tc was last brought to; `undefined` where that isn't known. */
  #known: DesiredState | undefined;
  #wanted: Traffic = NO_TRAFFIC;
  #wires: readonly Wire[] = [];
  /** By interface: why a part of what it shall have isn't in force. */
  readonly #failures = new Map<InterfaceName, TrafficFailure[]>();

  constructor(run: Run, memory: TrafficMemory) {
    this.#run = (...command) => abortable(run, this.#signal)(...command);
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

  /**
   * A limit that can't be had keeps no container from its network, and no pass from its end.
   * @returns what others had changed, as lines that put it back.
   */
  async keep(enforced: DesiredState, request: TrafficRequest, wait: Wait = patiently): Promise<string[]> {
    const before = this.#known;
    this.#known = undefined;
    // Most starts have no limit, and leave what all others have.
    if (before === undefined || changedDevices(before, enforced).size > 0) this.#wanted = trafficOf(enforced);
    this.#wires = enforced.wires ?? [];
    const drifted = await orUnread(() =>
      wait(async (signal) => {
        this.#signal = signal;
        try {
          return await this.#bring(before, enforced, request);
        } catch (cause) {
          this.#failAll(cause);
          throw cause instanceof Unread ? cause : new Unread(messageOf(cause), { cause });
        } finally {
          this.#signal = undefined;
        }
      }),
    );
    return before === undefined || drifted === undefined || drifted instanceof Unread ? [] : drifted;
  }

  async #bring(
    before: DesiredState | undefined,
    enforced: DesiredState,
    { resync, links, edited }: TrafficRequest,
  ): Promise<string[]> {
    if (before !== undefined) await this.#settle(changedDevices(before, enforced));
    const drifted = before === undefined || resync ? await this.#compare() : await this.#verify(edited);
    if (before !== undefined && !resync) await this.#verify(links);
    this.#known = enforced;
    return drifted;
  }

  /** What is put aside says nothing new of what failed before. */
  #failAll(cause: unknown): void {
    for (const [dev, { rate }] of this.#wanted.devices) {
      if (cause instanceof Unread && this.#failures.has(dev)) continue;
      const why = cause instanceof Unread ? 'tc gives no answer' : messageOf(cause);
      this.#failures.set(dev, [{ dev, part: rate === undefined ? 'redirect' : 'rate', why }]);
    }
  }

  /** Believes nothing: looks at every interface, also for what an earlier run left. */
  async #compare(): Promise<string[]> {
    if (!this.isUsed && !(await this.#memory.isMarked())) return [];
    const written = await this.#settle(undefined);
    if (!this.isUsed) await this.#memory.unmark();
    return written;
  }

  async #verify(devs: ReadonlySet<string>): Promise<string[]> {
    const ours = [...this.#wanted.devices].filter(([dev, { redirect }]) => devs.has(dev) || devs.has(redirect ?? ''));
    return await this.#settle(new Set(ours.flatMap(namesOf)));
  }

  /** `devs`: all, where that is left out. */
  async #settle(devs: ReadonlySet<InterfaceName> | undefined): Promise<string[]> {
    if (devs?.size === 0) return [];
    const observed = await readTraffic(this.#run, devs);
    const looked = devs ?? new Set([...observed.devices.keys(), ...this.#wanted.devices.keys()]);
    const { withdraw, links, bring, refused } = planTraffic(observed, this.#wanted, looked);
    const wires = this.#wires.filter(({ a, b }) => looked.has(a) || looked.has(b));
    const ends = await this.#hostEnds();
    // Before the first line: what a crash leaves after it is found by this.
    if (links.length + bring.length + ends.lines.length > 0) {
      await this.#memory.mark(new Set([...ends.open, ...ends.left]));
    }
    await silence(wires);
    const failed = [
      ...(await this.#batch('tc', withdraw)),
      ...(await this.#batch('ip', [...links, ...ends.lines])),
      ...(await this.#batch('tc', bring)),
      ...(await Promise.all(wires.map(readNarrowness))).flat(),
    ];
    if (ends.left.length > 0) await this.#memory.mark(ends.open);
    for (const dev of looked) this.#failures.delete(dev);
    for (const failure of [...refused, ...failed]) {
      this.#failures.set(failure.dev, [...(this.#failures.get(failure.dev) ?? []), failure]);
    }
    return [...withdraw, ...links, ...ends.lines, ...bring];
  }

  /** Those of the host's interfaces that a wire needs, and those that none needs any more. */
  async #hostEnds(): Promise<HostEnds> {
    const wanted = new Set(this.#wires.flatMap(({ ofHost }) => ofHost));
    const before = await this.#memory.promiscuous();
    const lines = await renderPromiscuous(this.#run, wanted);
    const open = [...wanted].filter((dev) => before.has(dev) || lines.some((line) => line.includes(` ${dev} `)));
    const left = [...before].filter((dev) => !wanted.has(dev));
    return { open: new Set(open), left, lines: [...lines, ...left.map((dev) => `link set dev ${dev} promisc off`)] };
  }

  async #batch(command: 'ip' | 'tc', lines: readonly string[]): Promise<TrafficFailure[]> {
    if (lines.length === 0) return [];
    const { stderr, exitCode } = await this.#run(command, ['-force', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
    });
    const failed = parseFailures(stderr, lines, lines.length + 1);
    // It failed before the first line, as for want of memory or a socket: none is done.
    if (exitCode !== 0 && failed.length === 0)
      throw new CommandError(`${command}: ${stderr.trim() || `exit status ${exitCode}`}`);
    return failed
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

interface HostEnds {
  /** Made promiscuous by us. */
  readonly open: ReadonlySet<InterfaceName>;
  /** Made so by us, and needed no more. */
  readonly left: readonly InterfaceName[];
  readonly lines: readonly string[];
}

const namesOf = ([dev, { redirect }]: readonly [InterfaceName, TrafficDevice]): InterfaceName[] =>
  redirect === undefined ? [dev] : [dev, redirect];

/** What the kernel says of a module that it doesn't have. */
const LACKING = /kind is unknown|Unknown device type|Operation not supported|No such file or directory|Failed to load/;

function neededBy(line: string): string {
  const module = line.includes(' type ifb')
    ? 'ifb'
    : line.includes(' tbf ')
      ? 'sch_tbf'
      : 'sch_ingress, cls_u32 or act_mirred';
  return `this kernel has no ${module}: modprobe says why`;
}
