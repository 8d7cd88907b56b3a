/** What bridges themselves do for containers: ports that may meet no other are apart, and nothing gets past the rules. */
import type { DesiredState } from '../../render/desired.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { FailedLine, IpChannel } from '../commands/ip-channel.ts';
import { type Run, runOrThrow } from '../commands/run.ts';
import { parseLinksJson } from './links-json.ts';

/** The bridge table says so too; this holds while someone has flushed it. A port takes the setting along when it goes. */
export class PortIsolation {
  readonly #run: Run;
  readonly #ip: IpChannel;
  readonly #written = new Map<InterfaceName, Setting>();

  constructor(run: Run, ip: IpChannel) {
    this.#run = run;
    this.#ip = ip;
  }

  /** What of these NICs isn't known to be set. @returns what `ip` refused. */
  async write(part: DesiredState): Promise<readonly FailedLine[]> {
    const fresh = wanted(part).filter(([veth, setting]) => this.#written.get(veth) !== setting);
    if (fresh.length === 0) return [];
    const bridges = new Set(fresh.map(([, , bridge]) => bridge));
    const failed = await this.#ip.run([...[...bridges].map(unlearning), ...fresh.map(lineFor)]);
    for (const [veth, setting] of fresh) this.#written.set(veth, setting);
    for (const { line } of failed)
      for (const [veth] of fresh) if (line.includes(` dev ${veth} `)) this.#written.delete(veth);
    return failed;
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
    const present = portSettings(await runOrThrow(run, 'ip', ['-j', '-d', 'link', 'show', 'type', 'bridge_slave']));
    const learning = learningBridges(await runOrThrow(run, 'ip', ['-j', '-d', 'link', 'show', 'type', 'bridge']));
    for (const [veth, setting] of ports) this.#written.set(veth, present.get(veth) ?? setting);
    const lines = ports.filter(([veth, setting]) => this.#written.get(veth) !== setting).map(lineFor);
    const told = new Set<InterfaceName>();
    for (const [veth, , bridge] of ports)
      if (learning.has(bridge)) {
        this.#written.delete(veth);
        told.add(bridge);
      }
    return [...[...told].map(unlearning), ...lines];
  }
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

const lineFor = ([veth, setting]: Port): string => `link set dev ${veth} type bridge_slave ${setting}`;

/** Of `ip -j -d link show type bridge_slave`: `"isolated":false,"guard":false`. */
function portSettings(json: string): Map<string, Setting> {
  const links = parseLinksJson(json);
  const ports = new Map<string, Setting>();
  for (const link of Array.isArray(links) ? links : []) {
    const name = field(link, 'ifname');
    const slave = field(field(link, 'linkinfo'), 'info_slave_data');
    const [isolated, guard] = [field(slave, 'isolated'), field(slave, 'guard')];
    if (typeof name === 'string' && typeof isolated === 'boolean' && typeof guard === 'boolean')
      ports.set(name, settingOf(isolated, guard));
  }
  return ports;
}

/** Of `ip -j -d link show type bridge`: `"no_linklocal_learn":0`. */
function learningBridges(json: string): Set<unknown> {
  const links = parseLinksJson(json);
  const learns = (link: unknown): boolean =>
    Number(field(field(field(link, 'linkinfo'), 'info_data'), 'no_linklocal_learn')) === 0;
  return new Set((Array.isArray(links) ? links : []).filter(learns).map((link) => field(link, 'ifname')));
}

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
