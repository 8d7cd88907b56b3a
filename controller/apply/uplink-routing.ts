/** Tables and rules of the uplinks in the kernel: there before a packet is marked for one, gone after the last that is. */
import type { DesiredState, HostState } from '../../render/desired.ts';
import { lineKey, renderUplinkLine, type UplinkLine, uplinkLines } from '../../render/uplink.ts';
import { type FailedLine, parseFailures } from '../commands/ip-channel.ts';
import { reading } from '../commands/reading.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { type ObservedRouting, readUplinkRoutes } from '../kernel/observe.ts';
import { readUplinkRules } from '../kernel/observe-uplinks.ts';
import { RefusedLines } from './refused-lines.ts';

type Tables = HostState['uplinkTables'];

export interface Opened {
  /** Without those whose table the kernel refuses: marked for nothing, their packets would leave by another uplink. */
  readonly desired: DesiredState;
  /** By NIC key: what `ip` said. */
  readonly withheld: ReadonlyMap<string, string>;
}

export class UplinkRouting {
  readonly #run: Run;
  readonly #complain: (failure: FailedLine) => void;
  /** What the kernel holds of ours, by key, in the order in which it was written. */
  #held = new Map<string, UplinkLine>();
  /** Each change tries these again too, since they are held still. */
  readonly removals = new RefusedLines();

  constructor(run: Run, complain: (failure: FailedLine) => void) {
    this.#run = run;
    this.#complain = complain;
  }

  /** Before any rule marks a packet. @throws CommandError */
  async open(desired: DesiredState): Promise<Opened> {
    const failures = await this.#add(uplinkLines(desired.host.uplinkTables));
    const broken = new Map<number, string>();
    for (const { line, message } of failures) {
      const [, table] = / (?:lookup|table) (\d+) /.exec(line) ?? [];
      // A way out that can't be set leaves the table without one, which is what an uplink that is down is like.
      const isWayOut = line.includes(' via ');
      if (!isWayOut) broken.set(Number(table ?? / pref (\d+) /.exec(line)?.[1]), `ip ${line}: ${message}`);
      else this.#complain({ line, message });
    }
    if (broken.size === 0) return { desired, withheld: new Map() };
    const withheld = new Map(
      [...desired.nics].flatMap(([key, { uplink }]): [string, string][] => {
        const why = uplink === undefined ? undefined : broken.get(uplink.table);
        return why === undefined ? [] : [[key, why]];
      }),
    );
    const nics = new Map([...desired.nics].filter(([key]) => !withheld.has(key)));
    return { desired: { ...desired, nics }, withheld };
  }

  /** The same from what the kernel holds by now. `lines`: what others had taken away. @throws CommandError, Unread */
  async reopen(desired: DesiredState): Promise<Opened & { readonly lines: string[] }> {
    const tables = desired.host.uplinkTables;
    if (tables === undefined) return { desired, withheld: new Map(), lines: [] };
    await reading(() => this.learn(tables, () => readUplinkRoutes(this.#run)));
    const missing = uplinkLines(tables).filter((line) => !this.#holds(line));
    const opened = await this.open(desired);
    // A way out by a link that is gone is refused each time, and nobody took it away.
    const lines = missing.filter((line) => this.#holds(line)).map((line) => shown(line, 'add'));
    return { ...opened, lines };
  }

  /** After the rules that marked packets for them are gone. @returns what was written. @throws CommandError */
  async close(tables: Tables): Promise<string[]> {
    const lines = this.#leaving(tables);
    const removals = lines.map((line) => shown(line, 'del'));
    this.removals.settle(removals);
    if (lines.length === 0) return [];
    for (const failure of this.removals.note(removals, await this.#write(lines, 'del'))) this.#complain(failure);
    const left = this.removals.lines;
    for (const line of lines) if (!left.has(shown(line, 'del'))) this.#held.delete(lineKey(line));
    return removals.filter((line) => !left.has(line));
  }

  /** Rules before the routes that they lead to. */
  #leaving(tables: Tables): UplinkLine[] {
    if (this.#held.size === 0) return [];
    const wanted = new Set(uplinkLines(tables).map(lineKey));
    const leaving = [...this.#held].filter(([key]) => !wanted.has(key)).map(([, line]) => line);
    return [...leaving.filter(isRule), ...leaving.filter((line) => !isRule(line))];
  }

  /** `routes`: of ours, in tables of uplinks. Asks for the rules only where there may be some. @throws CommandError */
  async learn(tables: Tables, routes: () => Promise<readonly UplinkLine[]>): Promise<void> {
    const held = tables === undefined && this.#held.size === 0 ? await routes() : undefined;
    if (held?.length === 0) return;
    const lines = [...(held ?? (await routes())), ...(await readUplinkRules(this.#run))];
    this.#held = new Map(lines.map((line) => [lineKey(line), line]));
  }

  #holds(line: UplinkLine): boolean {
    return this.#held.has(lineKey(line));
  }

  async #add(lines: readonly UplinkLine[]): Promise<FailedLine[]> {
    const fresh = lines.filter((line) => !this.#holds(line));
    const failures = (await this.#write(fresh, 'add')).filter(({ message }) => !message.includes('File exists'));
    const failed = new Set(failures.map(({ line }) => line));
    for (const line of fresh) if (!failed.has(shown(line, 'add'))) this.#held.set(lineKey(line), line);
    return failures;
  }

  /** A fork for each family, since no line of a batch can say which one a rule is of; uplinks rarely change. @throws CommandError */
  async #write(lines: readonly UplinkLine[], verb: 'add' | 'del'): Promise<FailedLine[]> {
    const failures: FailedLine[] = [];
    for (const family of [4, 6] as const) {
      const own = lines.filter((line) => line.family === family);
      if (own.length === 0) continue;
      const input = own.map((line) => `${renderUplinkLine(line, verb)}\n`).join('');
      const { stderr, stdout, exitCode } = await this.#run('ip', [`-${family}`, '-force', '-batch', '-'], { input });
      if (exitCode === 0) continue;
      const shownLines = own.map((line) => shown(line, verb));
      const failed = parseFailures(`${stdout}${stderr}`, shownLines, own.length + 1);
      // It failed before the first line, as for want of memory or a socket: none is done.
      if (failed.length === 0) throw new CommandError(`ip: ${stderr.trim() || `exit status ${exitCode}`}`);
      failures.push(...failed);
    }
    return failures;
  }
}

const isRule = ({ object }: UplinkLine): boolean => object === 'rule';

/** As it follows `ip` on a command line. */
const shown = (line: UplinkLine, verb: 'add' | 'del'): string => `-${line.family} ${renderUplinkLine(line, verb)}`;

/** What takes the kernel from one to the other, each line as it follows `ip`. */
export function describeUplinks(before: Tables, after: Tables): string[] {
  const { add, remove } = diffLines(uplinkLines(before), uplinkLines(after));
  return [...remove.map((line) => shown(line, 'del')), ...add.map((line) => shown(line, 'add'))];
}

/** Against the kernel, whose routes and links are known. Ways out by links that can't have any now are no difference. @throws CommandError */
export async function compareUplinks(
  run: Run,
  tables: Tables,
  { uplinkRoutes, links }: Pick<ObservedRouting, 'uplinkRoutes' | 'links'>,
) {
  if (tables === undefined && uplinkRoutes.length === 0) return { add: [], remove: [] };
  const present = new Set<string>(links.filter(({ down }) => down !== true).map(({ name }) => name));
  const possible = (tables ?? []).map((table) => (present.has(table.dev) ? table : { ...table, gateways: [] }));
  const { add, remove } = diffLines([...uplinkRoutes, ...(await readUplinkRules(run))], uplinkLines(possible));
  const words = ({ object, text }: UplinkLine): string => (object === 'rule' ? `rule ${text}` : text);
  return { add: add.map(words), remove: remove.map(words) };
}

function diffLines(before: readonly UplinkLine[], after: readonly UplinkLine[]) {
  const without = (lines: readonly UplinkLine[], others: readonly UplinkLine[]): UplinkLine[] => {
    const keys = new Set(others.map(lineKey));
    return lines.filter((line) => !keys.has(lineKey(line)));
  };
  return { add: without(after, before), remove: without(before, after) };
}
