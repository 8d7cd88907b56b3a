/** Puts back what was enforced and isn't in the kernel any more, part by part, where events tell of it. */
import type { DesiredState, NeighbourProxy } from '../../render/desired.ts';
import { followNicsBy } from '../../render/followed-nics.ts';
import { diffRouting, renderRouting, routingOf } from '../../render/routing.ts';
import type { PortIsolation } from '../bridged/port-isolation.ts';
import { reading } from '../commands/reading.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import type { Applied } from './applied.ts';
import type { ForeignProxies, LxcProxy } from './foreign-proxies.ts';
import { deviceOf, type NicSysctls } from './nic-sysctls.ts';
import { NO_ROUTING, pickNics } from './pick-nics.ts';
import type { RoutingWriter } from './routing-writer.ts';
import type { UplinkRouting } from './uplink-routing.ts';

export interface RepairParts {
  /** `undefined` while it isn't known: a complete comparison is to come, which mends all. */
  readonly enforced: () => DesiredState | undefined;
  readonly foreign: ForeignProxies;
  readonly routing: RoutingWriter;
  readonly sysctls: NicSysctls;
  readonly uplinks: UplinkRouting;
  readonly isolation: PortIsolation;
  readonly claims: AddressClaims;
}

export class Repairs {
  readonly #parts: RepairParts;
  readonly #byVeth = followNicsBy(({ hostVeth }): string[] => [hostVeth]);
  readonly #byProxied = followNicsBy(({ proxies }): string[] => proxies.map(({ address }) => address));
  readonly #bySetDevice = followNicsBy(({ sysctls }) => new Set(sysctls.map(deviceOf)));

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  get #enforced(): DesiredState | undefined {
    return this.#parts.enforced();
  }

  /** Whether a proxy for this address is enforced. */
  isProxied(address: string): boolean {
    return this.#enforced !== undefined && this.#byProxied(this.#enforced).has(address);
  }

  /** As `NicSysctls.isWritten`. */
  isWritten(values: ReadonlyMap<string, string>): boolean {
    return this.#parts.sysctls.isWritten(values);
  }

  /** Those of this address that are enforced. */
  proxiesOf(address: string): NeighbourProxy[] {
    if (this.#enforced === undefined) return [];
    const keys = this.#byProxied(this.#enforced).get(address) ?? [];
    return routingOf(pickNics(this.#enforced, [...keys])).proxies.filter((proxy) => proxy.address === address);
  }

  /** Writes again what the kernel drops with a link that goes down. `applied`: by a change that began after that. */
  async reassert(veths: ReadonlySet<string>, applied?: Pick<Applied, 'brought' | 'unrouted'>): Promise<void> {
    if (this.#enforced === undefined) return;
    const found = this.#byVeth(this.#enforced);
    const keys = [...veths].flatMap((veth) => [...(found.get(veth) ?? [])]);
    if (keys.length === 0) return;
    const part = pickNics(this.#enforced, keys);
    // Of two thousand routes that just came, none has gone. Who was refused something may have it now.
    const brought = applied?.unrouted.size === 0 ? applied.brought : undefined;
    const routing = this.#parts.foreign.spare(diffRouting(brought ?? NO_ROUTING, routingOf(part)).add);
    const proxies = this.#parts.claims.spare(routing.proxies);
    await this.#parts.routing.write({ add: { ...routing, proxies }, remove: NO_ROUTING });
    // Writing it unasked would be a change of the link, and so the next reason to write it.
    if ((await reading(() => this.#parts.isolation.reread(part))).length > 0)
      for (const failure of await this.#parts.isolation.write(part)) this.#parts.routing.complain(failure);
  }

  /** Puts back proxies for these addresses that someone else took away. @returns what was written. */
  async restoreProxies(addresses: ReadonlySet<string>, lxcProxies: () => readonly LxcProxy[]): Promise<string[]> {
    const all = [...addresses].flatMap((address) => this.proxiesOf(address));
    const wanted = this.#parts.claims.spare(all);
    if (wanted.length === 0) return [];
    const proxies = await reading(() => this.#parts.foreign.missing(wanted, lxcProxies));
    const diff = { add: this.#parts.foreign.spare({ ...NO_ROUTING, proxies }), remove: NO_ROUTING };
    await this.#parts.routing.write(diff);
    return renderRouting(diff);
  }

  /** Puts back what someone else changed of the uplinks' tables and rules. @returns what was written. */
  async restoreUplinks(): Promise<string[]> {
    if (this.#enforced?.host.uplinkTables === undefined) return [];
    const { lines } = await this.#parts.uplinks.reopen(this.#enforced);
    return [...lines, ...(await this.#parts.uplinks.close(this.#enforced.host.uplinkTables))];
  }

  /** Puts back what someone else changed of these interfaces; `all` stands for any. @returns what was written. */
  async restoreSysctls(devs: ReadonlySet<string>): Promise<string[]> {
    if (this.#enforced === undefined) return [];
    if (devs.has('all')) return await this.#parts.sysctls.repair(this.#enforced);
    const found = this.#bySetDevice(this.#enforced);
    const keys = new Set([...devs].flatMap((dev) => [...(found.get(dev) ?? [])]));
    return await this.#parts.sysctls.repair(this.#enforced, pickNics(this.#enforced, [...keys]), devs);
  }
}
