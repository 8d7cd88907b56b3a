/** Brings the kernel from what it holds to what it shall hold, in the order that leaves no gap. */
import { chainHash } from '../../policies/chain-hash.ts';
import type { HostNetwork } from '../../policies/host-network.ts';
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState } from '../../render/desired.ts';
import { chainNaming } from '../../render/nft.ts';
import { diffRouting, joinRouting, type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import { PortIsolation } from '../bridged/port-isolation.ts';
import { abortable, orUnread, reading, Unread } from '../commands/reading.ts';
import type { Marks } from '../kernel/kernel-marks.ts';
import { type ObservedRouting, readRouting } from '../kernel/observe.ts';
import { announce } from './announcements.ts';
import { type Applied, type ApplyRequest, NO_COMPARISON, rightApplied } from './applied.ts';
import { changeRules, repairRules } from './commit-isolated.ts';
import { ForeignProxies, type LxcProxy } from './foreign-proxies.ts';
import { KernelLook, type LookRequest } from './kernel-look.ts';
import type { KernelPorts } from './kernel-ports.ts';
import { KernelProof } from './kernel-proof.ts';
import { NicSysctls } from './nic-sysctls.ts';
import { keysOfMoved, NO_ROUTING, pickNics } from './pick-nics.ts';
import { repairedLines } from './repaired-lines.ts';
import { Repairs } from './repairs.ts';
import { RoutingWriter } from './routing-writer.ts';
import { unwatchedChanges } from './unwatched-changes.ts';
import { type Opened, UplinkRouting } from './uplink-routing.ts';

export const nameOf = chainNaming(chainHash);

/** Besides the rules. */
interface Observed {
  readonly routing: ObservedRouting;
  /** What LXC itself may have left. */
  readonly leakable: readonly LxcProxy[];
  /** Lines that bring ports of bridges to what they shall be. */
  readonly unset: readonly string[];
}

export class Applier {
  readonly #ports: KernelPorts;
  #enforced: DesiredState | undefined;
  #last: DesiredState | undefined;
  readonly #foreign: ForeignProxies;
  readonly #routing: RoutingWriter;
  readonly #sysctls: NicSysctls;
  readonly #uplinks: UplinkRouting;
  #withheld: Opened['withheld'] = new Map();
  readonly #isolation: PortIsolation;
  readonly proof: KernelProof;
  readonly look: KernelLook;
  /** Puts back what others take away between comparisons. */
  readonly repairs: Repairs;

  constructor(ports: KernelPorts) {
    this.#ports = ports;
    this.#foreign = new ForeignProxies(ports);
    this.#routing = new RoutingWriter({ ...ports, foreign: this.#foreign });
    this.#sysctls = new NicSysctls(ports.log, ports.rememberSysctls);
    this.#uplinks = new UplinkRouting(ports.run, (failure) => this.#routing.complain(failure));
    this.#isolation = new PortIsolation(ports.run, ports.ip);
    this.repairs = new Repairs({
      enforced: () => this.#enforced,
      foreign: this.#foreign,
      routing: this.#routing,
      sysctls: this.#sysctls,
      uplinks: this.#uplinks,
      isolation: this.#isolation,
      claims: ports.claims,
    });
    this.proof = new KernelProof(ports.marks);
    this.look = new KernelLook({
      ...ports,
      run: ports.read ?? ports.run,
      foreign: this.#foreign,
      sysctls: this.#sysctls,
      isolation: this.#isolation,
    });
  }

  /** `undefined`: not known, so that the next change reads the kernel first. */
  get enforced(): DesiredState | undefined {
    return this.#enforced;
  }

  #know(state: DesiredState | undefined): void {
    this.#enforced = state;
    this.look.follow(state);
  }

  #settle(enforced: DesiredState, withheld: Opened['withheld']): void {
    this.#know(enforced);
    this.#last = enforced;
    this.#withheld = withheld;
  }

  /** For work beside passes: unlike `enforced` it is known during a comparison too, which may find it otherwise. */
  get lastEnforced(): DesiredState | undefined {
    return this.#last;
  }

  /** As in `Applied`, of this moment. */
  get unrouted(): Applied['unrouted'] {
    const failed = this.#enforced === undefined ? [] : this.#routing.refusedByNic(this.#enforced);
    return new Map([...failed, ...this.#withheld]);
  }

  /** Which veth may send from which prefix by the kernel's rules, as `VETH PREFIX`. */
  readOwned(): Promise<ReadonlySet<string>> {
    return this.#ports.backend.readOwned();
  }

  /** The next change begins with a complete comparison. */
  distrust(): void {
    this.#know(undefined);
    // By it links would be taken for read, which a new session hasn't.
    this.proof.forget();
  }

  /**
   * The rules that were in force, where somebody deleted them, before anything is read: by readings they would be away longer.
   * A complete comparison has to follow. @returns what was written. @throws Error when nothing is known of the kernel.
   */
  async putBack(): Promise<readonly string[]> {
    if (this.#enforced === undefined) return [];
    try {
      return (await this.#ports.backend.putBack?.(this.#enforced)) ?? [];
    } catch (cause) {
      this.distrust();
      throw cause;
    }
  }

  /** Writes only what changed since the last time. @throws Error when the kernel's state is not known afterwards. */
  async apply(request: ApplyRequest): Promise<Applied> {
    const before = this.#enforced;
    return before === undefined ? await this.resync(request) : await this.#changeFrom(before, request);
  }

  /** `rules`: those in force, where they are ahead of the rest. */
  async #changeFrom(before: DesiredState, request: ApplyRequest, rules = before): Promise<Applied> {
    this.#know(before);
    try {
      return await this.#change(before, request, rules);
    } catch (cause) {
      this.distrust();
      throw cause;
    }
  }

  async #change(
    before: DesiredState,
    { desired: wanted, network, lxcProxies }: ApplyRequest,
    rules: DesiredState,
  ): Promise<Applied> {
    // Everything else is the same object before and after, and costs nothing here.
    const { desired: whole, withheld } = await this.#uplinks.open(wanted);
    const { state: desired, unheld } = this.#ports.backend.holdable(whole);
    const keys = changedNicKeys(before, desired);
    const moved = keysOfMoved(before, desired, keys);
    const old = routingOf(pickNics(before, moved));
    const leaving = await this.#withdraw(diffRouting(old, routingOf(pickNics(desired, moved))).remove);
    const left = keys.filter((key) => before.nics.get(key)?.hostVeth !== desired.nics.get(key)?.hostVeth);
    this.#sysctls.forget(pickNics(before, left));
    this.#isolation.forget(pickNics(before, left));
    const { result, commands } = await changeRules(desired, { before, rules, backend: this.#ports.backend, nameOf });
    const { enforced } = result;
    const remaining = diffRouting(leaving, old).add;
    const fresh = diffRouting(remaining, routingOf(pickNics(enforced, moved))).add;
    const coming = joinRouting(joinRouting(fresh, this.#due), this.#routing.refused(enforced));
    const unread = await orUnread(() => reading(() => this.#foreign.look(coming.proxies, lxcProxies)));
    // Which of them others have set isn't known: they come with the comparison.
    const free = unread === undefined ? coming : { ...coming, proxies: [] };
    const brought = await this.#bringUp(pickNics(enforced, keys), free, network);
    await this.#uplinks.close(enforced.host.uplinkTables);
    this.#settle(enforced, withheld);
    const written = commands + Object.values(brought).flat().length;
    return { ...result, ...NO_COMPARISON, unheld, written, brought, unrouted: this.unrouted, unread };
  }

  /** Before the rules change: others' proxies stay. @returns what may have been set of it, and is gone now. */
  async #withdraw(gone: Routing): Promise<Routing> {
    const ours = this.#foreign.spare(gone);
    const leaving = { ...ours, proxies: this.#ports.claims.leave(ours.proxies) };
    await this.#routing.write({ add: NO_ROUTING, remove: leaving });
    return leaving;
  }

  /**
   * Compares everything with the kernel and writes what differs; nothing where nothing does. Where a reading fails, or
   * `signal` puts it aside, nothing but rules has been written yet: then only the change from what was known before is written.
   */
  async resync(request: ApplyRequest, signal?: AbortSignal): Promise<Applied> {
    const proven = await this.proven(request.desired);
    if (proven !== undefined) return proven;
    const applied = await this.#resync(request, signal);
    if (this.#ports.backend.name === 'nftables' && !this.#isDue) this.proof.note(request.desired, applied);
    return applied;
  }

  /** What a comparison would come to, by the last look or by `now`; `undefined` where it has to be made. */
  async proven(desired: DesiredState, now?: Marks): Promise<Applied | undefined> {
    const proven = this.proof.of(desired, this.#enforced, now);
    if (proven === undefined || this.#isDue || (await this.#sysctls.hasUnmarkedDrift(proven.enforced)))
      return undefined;
    return proven;
  }

  /**
   * Whether a comparison would find nothing to do, found out while passes go on; `idle` waits until none runs. False too where
   * that can't be told so: for containers with uplinks of their own, what was refused or waits.
   * @throws Error where a reading fails
   */
  async isRight(desired: DesiredState, request: Omit<LookRequest, 'state'>): Promise<boolean> {
    if (desired.host.uplinkTables !== undefined || desired !== this.#enforced) return false;
    if (this.#isDue || this.unrouted.size > 0) return false;
    const found = await this.look.compare({ ...request, state: desired });
    if (found === 'alone' && desired === this.#enforced) this.proof.noteLook(desired, rightApplied(desired));
    return found !== 'differs';
  }

  /** Proxies that waited for an answer from the link. */
  get #due(): Routing {
    return { ...NO_ROUTING, proxies: [...this.#ports.claims.due] };
  }

  get #isDue(): boolean {
    return this.#due.proxies.length > 0;
  }

  async #resync(request: ApplyRequest, signal: AbortSignal | undefined): Promise<Applied> {
    const before = this.#enforced;
    this.#know(undefined);
    // Where nothing is known the comparison is the repair, and there is no other way.
    if (before === undefined) return await this.#compare(before, request, undefined, () => undefined);
    let rules = before;
    let mended: readonly string[] = [];
    try {
      return await this.#compare(before, request, signal, (inForce, commands) => {
        rules = inForce;
        mended = commands;
      });
    } catch (cause) {
      if (!(cause instanceof Unread)) throw cause;
      // Whatever began while rules were missing is judged again, as after a comparison that came to its end.
      const repaired = repairedLines(mended, { backend: this.#ports.backend, before, after: rules });
      return { ...(await this.#changeFrom(before, request, rules)), repaired, unread: cause };
    }
  }

  async #compare(
    before: DesiredState | undefined,
    request: ApplyRequest,
    signal: AbortSignal | undefined,
    onRules: (inForce: DesiredState, commands: readonly string[]) => void,
  ): Promise<Applied> {
    const { network } = request;
    const { desired: whole, withheld, lines: uplinkLines } = await this.#uplinks.reopen(request.desired);
    const { state: desired, unheld } = this.#ports.backend.holdable(whole);
    // Rules first, before anything else is even read: they may be what someone flushed.
    const held = await reading(() => this.#ports.backend.read(signal));
    const { result, commands } = await repairRules(desired, before, held, nameOf);
    const { enforced } = result;
    onRules(enforced, commands);
    const { routing, leakable, unset } = await this.#observe(enforced, request, signal);
    uplinkLines.push(...(await this.#uplinks.close(enforced.host.uplinkTables)));
    this.#ports.claims.learn(routing.proxies, routingOf(enforced).proxies);
    const differing = this.#routing.diffObserved(enforced, routing, leakable);
    // Nobody took those away: they only waited for an answer.
    const waited = new Set(renderRouting({ add: this.#due, remove: NO_ROUTING }));
    const proxies = this.#ports.claims.admit(differing.add.proxies, network, enforced.nics);
    const diff = { ...differing, add: { ...differing.add, proxies } };
    await this.#routing.write({ add: NO_ROUTING, remove: diff.remove });
    const drifted = [...(await this.#sysctls.reread(enforced)), ...unset];
    await this.#bringUp(enforced, joinRouting(diff.add, this.#routing.refused(enforced)), network);
    this.#settle(enforced, withheld);
    const written = [...uplinkLines, ...commands, ...renderRouting(diff), ...drifted];
    const told = { ...NO_COMPARISON, ...result, unheld, written: written.length, unrouted: this.unrouted };
    if (before === undefined) return { ...told, ...unwatchedChanges(held, enforced) };
    const repaired = repairedLines(written, { backend: this.#ports.backend, before, after: enforced });
    return { ...told, repaired: repaired.filter((line) => !waited.has(line)) };
  }

  /** What the kernel holds besides the rules; all of it before anything is written: what is put aside here is made from the beginning. */
  async #observe(
    enforced: DesiredState,
    { desired: wanted, lxcProxies }: ApplyRequest,
    signal: AbortSignal | undefined,
  ): Promise<Observed> {
    const run = abortable(this.#ports.run, signal);
    const routing = await reading(() => readRouting(run));
    const unset = await reading(() => this.#isolation.reread(enforced, run));
    const leakable = lxcProxies();
    this.#foreign.learn(routing.foreignProxies, leakable);
    if (wanted.host.uplinkTables === undefined)
      await reading(() => this.#uplinks.learn(undefined, async () => routing.uplinkRoutes));
    return { routing, leakable, unset };
  }

  /** After the rules are in force: sysctls, then routes, then proxies, then the announcement. `enforced`: what changed. */
  async #bringUp(enforced: DesiredState, coming: Routing, network: HostNetwork): Promise<Routing> {
    await this.#sysctls.write(enforced, this.#enforced);
    for (const failure of await this.#isolation.write(enforced)) this.#routing.complain(failure);
    const free = this.#foreign.spare(coming);
    const proxies = this.#ports.claims.admit(free.proxies, network, enforced.nics);
    const brought = { ...free, proxies };
    await this.#routing.write({ add: brought, remove: NO_ROUTING });
    announce(this.#ports.announcer, proxies, network, (address) => this.repairs.proxiesOf(address));
    return brought;
  }
}
