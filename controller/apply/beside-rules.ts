/** What NICs need in the kernel besides their rules: routes, gateways, neighbour proxies, sysctls, and ports of bridges. */
import type { HostNetwork } from '../../policies/host-network.ts';
import type { DesiredState } from '../../render/desired.ts';
import { type Routing, type RoutingDiff, renderRouting, routingOf } from '../../render/routing.ts';
import { PortIsolation } from '../bridged/port-isolation.ts';
import { reading } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { type ObservedRouting, readRouting } from '../kernel/observe.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import { ForeignProxies, type LxcProxy } from './foreign-proxies.ts';
import type { KernelPorts } from './kernel-ports.ts';
import { NicSysctls } from './nic-sysctls.ts';
import { NO_ROUTING, pickNics } from './pick-nics.ts';
import { RoutingWriter } from './routing-writer.ts';
import { UplinkRouting } from './uplink-routing.ts';

export interface ObservedBeside {
  readonly routing: ObservedRouting;
  /** What LXC itself may have left. */
  readonly leakable: readonly LxcProxy[];
  /** Lines that bring ports of bridges to what they shall be. */
  readonly unset: readonly string[];
  /** Lines that were to be written before, and were refused. */
  readonly refused: ReadonlySet<string>;
}

interface Question {
  readonly run: Run;
  readonly lxcProxies: () => readonly LxcProxy[];
  /** Their tables are looked at by themselves then. */
  readonly usesUplinks: boolean;
}

export class BesideRules {
  readonly foreign: ForeignProxies;
  readonly routing: RoutingWriter;
  readonly sysctls: NicSysctls;
  readonly uplinks: UplinkRouting;
  readonly isolation: PortIsolation;
  readonly claims: AddressClaims;

  constructor(ports: KernelPorts) {
    const read = ports.read ?? ports.run;
    this.foreign = new ForeignProxies({ ip: ports.ip, run: read });
    this.routing = new RoutingWriter({ ...ports, foreign: this.foreign });
    this.sysctls = new NicSysctls(ports.log, ports.rememberSysctls);
    this.uplinks = new UplinkRouting(ports.run, (failure) => this.routing.complain(failure));
    this.isolation = new PortIsolation(read, ports.ip);
    this.claims = ports.claims;
  }

  /** Proxies that waited for an answer from the link. */
  get due(): Routing {
    return { ...NO_ROUTING, proxies: [...this.claims.due] };
  }

  get #refused(): ReadonlySet<string> {
    const all = [this.routing.removals, this.uplinks.removals, this.sysctls.refused, this.isolation.refused];
    return new Set(all.flatMap(({ lines }) => [...lines]));
  }

  /** `ip` refused to remove something, or a setting was refused, and a comparison tries again. As far as is known. */
  get isRefused(): boolean {
    return this.#refused.size > 0;
  }

  /** Others' proxies stay. @returns what may have been set of it, and is gone now. */
  async withdraw(gone: Routing): Promise<Routing> {
    const ours = this.foreign.spare(gone);
    const leaving = { ...ours, proxies: this.claims.leave(ours.proxies) };
    await this.routing.write({ add: NO_ROUTING, remove: leaving });
    return leaving;
  }

  /** Of NICs whose veth is another one now, or none. */
  forget(before: DesiredState, after: DesiredState, keys: readonly string[]): void {
    const left = keys.filter((key) => before.nics.get(key)?.hostVeth !== after.nics.get(key)?.hostVeth);
    this.sysctls.forget(pickNics(before, left));
    this.isolation.forget(pickNics(before, left));
  }

  /** All of it before anything is written, so that what is put aside here is made from the beginning. */
  async observe(enforced: DesiredState, { run, lxcProxies, usesUplinks }: Question): Promise<ObservedBeside> {
    const routing = await reading(() => readRouting(run));
    const unset = await reading(() => this.isolation.reread(enforced, run));
    const refused = this.#refused;
    this.isolation.refused.settle(unset);
    const leakable = lxcProxies();
    this.foreign.learn(routing.foreignProxies, leakable);
    if (!usesUplinks) await reading(() => this.uplinks.learn(undefined, async () => routing.uplinkRoutes));
    return { routing, leakable, unset, refused };
  }

  /** What routing differs in. `waited`: lines that are nobody else's doing, since they waited for an answer, or were refused. */
  compare(
    enforced: DesiredState,
    { routing, leakable, refused }: ObservedBeside,
    network: HostNetwork,
  ): { readonly diff: RoutingDiff; readonly waited: ReadonlySet<string> } {
    this.claims.learn(routing.proxies, routingOf(enforced).proxies);
    const waited = new Set([...renderRouting({ add: this.due, remove: NO_ROUTING }), ...refused]);
    const { add, remove } = this.routing.diffObserved(enforced, routing, leakable);
    const proxies = this.claims.admit(add.proxies, network, enforced.nics);
    return { diff: { add: { ...add, proxies }, remove }, waited };
  }

  /**
   * After the rules are in force: sysctls, then routes, then proxies. `part`: what changed; `known`: what was in force.
   * @returns what was written of `coming`.
   */
  async bringUp(
    part: DesiredState,
    coming: Routing,
    { network, known }: { readonly network: HostNetwork; readonly known: DesiredState | undefined },
  ): Promise<Routing> {
    await this.sysctls.write(part, known);
    for (const failure of await this.isolation.write(part)) this.routing.complain(failure);
    const free = this.foreign.spare(coming);
    const brought = { ...free, proxies: this.claims.admit(free.proxies, network, part.nics) };
    await this.routing.write({ add: brought, remove: NO_ROUTING });
    return brought;
  }
}
