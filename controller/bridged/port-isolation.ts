/** What bridges themselves do for containers: ports that may meet no other are apart, and nothing gets past the rules. */
import type { DesiredState } from '../../render/desired.ts';
import type { InterfaceName } from '../../render/names.ts';
import { RefusedLines } from '../apply/refused-lines.ts';
import type { FailedLine, IpChannel } from '../commands/ip-channel.ts';
import type { Run } from '../commands/run.ts';
import { linkIdentity } from '../host/container-runtime.ts';
import type { Turn } from '../in-turns.ts';
import { type Fields, readJson, readJsonOf, records } from '../kernel/ip-json.ts';

/** The bridge table says so too; this holds while someone has flushed it. A port takes the setting along when it goes. */
export class PortIsolation {
  readonly #run: Run;
  readonly #ip: IpChannel;
  readonly #written = new Map<InterfaceName, Setting>();
  /** Bridges, each as in `linkIdentity`, that have been told. */
  readonly #unlearning = new Map<InterfaceName, string>();
  /** A comparison is to try these again. */
  readonly refused = new RefusedLines();

  constructor(run: Run, ip: IpChannel) {
    this.#run = run;
    this.#ip = ip;
  }

  /**
   * What of these NICs isn't known to be set. A bridge tells of each writing, changed or not, and everything would be compared
   * again for that: so a bridge is written once. @returns what `ip` refused, and had not refused in these words before.
   */
  async write(part: DesiredState): Promise<readonly FailedLine[]> {
    const ports = wanted(part);
    const fresh = ports.filter(([veth, setting]) => this.#written.get(veth) !== setting);
    const bridges = [...bridgesOf(ports)].filter((bridge) => this.#unlearning.get(bridge) !== linkIdentity(bridge));
    if (fresh.length + bridges.length === 0) return [];
    const lines = [...bridges.map(unlearning), ...fresh.map(lineFor)];
    const failed = await this.#ip.run(lines);
    const isDone = (name: InterfaceName): boolean => !failed.some(({ line }) => line.includes(` dev ${name} `));
    for (const bridge of bridges) if (isDone(bridge)) this.#unlearning.set(bridge, linkIdentity(bridge));
    for (const [veth, setting] of fresh) if (isDone(veth)) this.#written.set(veth, setting);
    return this.refused.note(lines, failed);
  }

  /** Another port by the same name begins with the kernel's setting. */
  forget({ nics }: DesiredState): void {
    for (const { hostVeth } of nics.values()) this.#written.delete(hostVeth);
  }

  /**
   * The next `write` of these NICs knows how their ports are set. One that is off its bridge has nothing to be set; it
   * comes back with the kernel's setting, and a change of its link. @returns lines for those that it will write.
   * @throws CommandError
   */
  async reread(part: DesiredState, run = this.#run): Promise<string[]> {
    const ports = wanted(part);
    if (ports.length === 0) return [];
    const { present, learning } = await observe(run, ports);
    for (const [veth, setting] of ports) this.#written.set(veth, present.get(veth) ?? setting);
    const lines = ports.filter(([veth, setting]) => this.#written.get(veth) !== setting).map(lineFor);
    const told = [...bridgesOf(ports)].filter((bridge) => learning.has(bridge));
    for (const bridge of told) this.#unlearning.delete(bridge);
    return [...told.map(unlearning), ...lines];
  }

  /** Whether a `write` is due. `state`: what is in force behind the reading. @throws CommandError */
  async hasDrift(part: DesiredState, { run, turn, state }: DriftLook): Promise<boolean> {
    const ports = wanted(part);
    if (ports.length === 0) return false;
    const { present, learning } = await observe(run, ports, turn);
    const isRight = ([veth, setting, bridge]: Port): boolean =>
      !learning.has(bridge) && (present.get(veth) ?? setting) === setting;
    return !wanted(await state()).every(isRight);
  }
}

export interface DriftLook {
  readonly run: Run;
  readonly turn: Turn;
  readonly state: () => Promise<DesiredState>;
}

/** `isolated on guard on` */
type Setting = string;
type Port = readonly [veth: InterfaceName, setting: Setting, bridge: InterfaceName];

/**
 * Messages of the spanning tree reach no hook: where the bridge speaks it, a container could make itself the root, and have
 * the uplink's port blocked. The kernel shuts a guarded port that sends one, until its link goes down and up.
 */
const settingOf = (isIsolated: boolean, isGuarded: boolean): Setting =>
  `isolated ${isIsolated ? 'on' : 'off'} guard ${isGuarded ? 'on' : 'off'}`;

/**
 * From a frame to an address that bridges keep for themselves, as LLDP's, the kernel learns where its sender is, before
 * any hook: a container would have the bridge look for its siblings, or for the router, at its own port.
 */
const unlearning = (bridge: InterfaceName): string => `link set dev ${bridge} type bridge no_linklocal_learn 1`;

const wanted = ({ nics }: DesiredState): Port[] =>
  [...nics.values()].flatMap(({ hostVeth, port }) =>
    port === undefined ? [] : [[hostVeth, settingOf(port.isApart, true), port.bridge] as const],
  );

const bridgesOf = (ports: readonly Port[]): ReadonlySet<InterfaceName> => new Set(ports.map(([, , bridge]) => bridge));

const lineFor = ([veth, setting]: Port): string => `link set dev ${veth} type bridge_slave ${setting}`;

/** Among ten thousand links, all ports take as long as so many by name. */
const NAMES_AT_ONCE = 8;

interface Observed {
  readonly present: ReadonlyMap<unknown, Setting>;
  readonly learning: ReadonlySet<unknown>;
}

async function observe(run: Run, ports: readonly Port[], turn?: Turn): Promise<Observed> {
  const names = [...new Set(ports.flatMap(([veth, , bridge]) => [veth, bridge]))];
  const details = ['-d', 'link', 'show'];
  const read =
    names.length > NAMES_AT_ONCE
      ? ['bridge_slave', 'bridge'].map(async (type) => records(await readJson(run, [...details, 'type', type], turn)))
      : names.map((name) => readJsonOf(run, details, name));
  const links = (await Promise.all(read)).flat();
  return { present: new Map(links.flatMap(portSetting)), learning: new Set(links.filter(isLearning).map(nameIn)) };
}

/** Of a port, `"isolated":false,"guard":false`. */
function portSetting(link: Fields): [unknown, Setting][] {
  const slave = field(link['linkinfo'], 'info_slave_data');
  const [isolated, guard] = [field(slave, 'isolated'), field(slave, 'guard')];
  if (typeof isolated !== 'boolean' || typeof guard !== 'boolean') return [];
  return [[nameIn(link), settingOf(isolated, guard)]];
}

/** Of a bridge, `"no_linklocal_learn":0`. */
const isLearning = ({ linkinfo }: Fields): boolean =>
  Number(field(field(linkinfo, 'info_data'), 'no_linklocal_learn')) === 0;

const nameIn = ({ ifname }: Fields): unknown => ifname;

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
