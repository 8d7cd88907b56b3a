/** Keeps bridge ports of containers that may meet no other container from speaking with each other, in the bridge itself. */
import type { DesiredState } from '../render/desired.ts';
import type { InterfaceName } from '../render/names.ts';
import { parseLinksJson } from './container-runtime.ts';
import type { FailedLine, IpChannel } from './ip-channel.ts';
import { type Run, runOrThrow } from './run.ts';

/** The bridge table says so too; this holds while someone has flushed it. A port takes the setting along when it goes. */
export class PortIsolation {
  readonly #run: Run;
  readonly #ip: IpChannel;
  readonly #written = new Map<InterfaceName, boolean>();

  constructor(run: Run, ip: IpChannel) {
    this.#run = run;
    this.#ip = ip;
  }

  /** What of these NICs isn't known to be set. @returns what `ip` refused. */
  async write(part: DesiredState): Promise<readonly FailedLine[]> {
    const fresh = wanted(part).filter(([veth, isIsolated]) => this.#written.get(veth) !== isIsolated);
    if (fresh.length === 0) return [];
    const failed = await this.#ip.run(fresh.map(lineFor));
    for (const [veth, isIsolated] of fresh) this.#written.set(veth, isIsolated);
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
  async reread(part: DesiredState): Promise<string[]> {
    const ports = wanted(part);
    if (ports.length === 0) return [];
    const present = isolatedPorts(
      await runOrThrow(this.#run, 'ip', ['-j', '-d', 'link', 'show', 'type', 'bridge_slave']),
    );
    for (const [veth, isIsolated] of ports) this.#written.set(veth, present.get(veth) ?? isIsolated);
    return ports.filter(([veth, isIsolated]) => this.#written.get(veth) !== isIsolated).map(lineFor);
  }
}

type Port = readonly [veth: InterfaceName, isIsolated: boolean];

const wanted = ({ nics }: DesiredState): Port[] =>
  [...nics.values()].flatMap(({ hostVeth, port }) => (port === undefined ? [] : [[hostVeth, port.isApart] as const]));

const lineFor = ([veth, isIsolated]: Port): string =>
  `link set dev ${veth} type bridge_slave isolated ${isIsolated ? 'on' : 'off'}`;

/** Of `ip -j -d link show type bridge_slave`. */
function isolatedPorts(json: string): Map<string, boolean> {
  const links = parseLinksJson(json);
  const ports = new Map<string, boolean>();
  for (const link of Array.isArray(links) ? links : []) {
    const name = field(link, 'ifname');
    const isolated = field(field(field(link, 'linkinfo'), 'info_slave_data'), 'isolated');
    if (typeof name === 'string' && typeof isolated === 'boolean') ports.set(name, isolated);
  }
  return ports;
}

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
