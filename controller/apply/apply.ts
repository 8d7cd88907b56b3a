/** Brings the kernel from what it holds to what it shall hold, in the order that leaves no gap. */
import { chainHash } from '../../policies/chain-hash.ts';
import type { HostNetwork } from '../../policies/host-network.ts';
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState } from '../../render/desired.ts';
import { chainNaming } from '../../render/nft.ts';
import { diffRouting, joinRouting, type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import { abortable, orUnread, reading, Unread } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import type { Marks } from '../kernel/kernel-marks.ts';
import { announce } from './announcements.ts';
import { type Applied, type ApplyRequest, NO_COMPARISON, rightApplied } from './applied.ts';
import { BesideRules } from './beside-rules.ts';
import { changeRules, repairRules } from './commit-isolated.ts';
import { KernelLook, type LookRequest } from './kernel-look.ts';
import type { KernelPorts } from './kernel-ports.ts';
import { KernelProof } from './kernel-proof.ts';
import { keysOfMoved, NO_ROUTING, pickNics } from './pick-nics.ts';
import { repairedLines } from './repaired-lines.ts';
import { Repairs } from './repairs.ts';
import { unwatchedChanges } from './unwatched-changes.ts';
import type { Opened } from './uplink-routing.ts';

export const nameOf = chainNaming(chainHash);

export class Applier {
  readonly #ports: KernelPorts;
  readonly #read: Run;
  #enforced: DesiredState | undefined;
  #last: DesiredState | undefined;
  readonly #beside: BesideRules;
  #withheld: Opened['withheld'] = new Map();
  readonly proof: KernelProof;
  readonly look: KernelLook;
  /** Puts back what others take away between comparisons. */
  readonly repairs: Repairs;

  constructor(ports: KernelPorts) {
    this.#ports = ports;
    this.#read = ports.read ?? ports.run;
    const beside = new BesideRules(ports);
    this.#beside = beside;
    this.repairs = new Repairs({ enforced: () => this.#enforced, ...beside });
    this.proof = new KernelProof(ports.marks);
    this.look = new KernelLook({ ...ports, ...beside, run: this.#read });
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
    const failed = this.#enforced === undefined ? [] : this.#beside.routing.refusedByNic(this.#enforced);
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
    const { desired: whole, withheld } = await this.#beside.uplinks.open(wanted);
    const { state: desired, unheld } = this.#ports.backend.holdable(whole);
    const keys = changedNicKeys(before, desired);
    const moved = keysOfMoved(before, desired, keys);
    const old = routingOf(pickNics(before, moved));
    const leaving = await this.#beside.withdraw(diffRouting(old, routingOf(pickNics(desired, moved))).remove);
    this.#beside.forget(before, desired, keys);
    const { result, commands } = await changeRules(desired, { before, rules, backend: this.#ports.backend, nameOf });
    const { enforced } = result;
    const remaining = diffRouting(leaving, old).add;
    const fresh = diffRouting(remaining, routingOf(pickNics(enforced, moved))).add;
    const coming = joinRouting(joinRouting(fresh, this.#beside.due), this.#beside.routing.refused(enforced));
    const unread = await orUnread(() => reading(() => this.#beside.foreign.look(coming.proxies, lxcProxies)));
    // Which of them others have set isn't known: they come with the comparison.
    const free = unread === undefined ? coming : { ...coming, proxies: [] };
    const brought = await this.#bringUp(pickNics(enforced, keys), free, network);
    await this.#beside.uplinks.close(enforced.host.uplinkTables);
    this.#settle(enforced, withheld);
    const written = commands + Object.values(brought).flat().length;
    return { ...result, ...NO_COMPARISON, unheld, written, brought, unrouted: this.unrouted, unread };
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
    if (proven === undefined || this.#isDue || (await this.#beside.sysctls.hasUnmarkedDrift(proven.enforced)))
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

  get #isDue(): boolean {
    return this.#beside.due.proxies.length > 0 || this.isRefused;
  }

  /** As in BesideRules. */
  get isRefused(): boolean {
    return this.#beside.isRefused;
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
    { desired: wanted, network, lxcProxies }: ApplyRequest,
    signal: AbortSignal | undefined,
    onRules: (inForce: DesiredState, commands: readonly string[]) => void,
  ): Promise<Applied> {
    const beside = this.#beside;
    const { desired: whole, withheld, lines: uplinkLines } = await beside.uplinks.reopen(wanted);
    const { state: desired, unheld } = this.#ports.backend.holdable(whole);
    // Rules first, before anything else is even read: they may be what someone flushed.
    const held = await reading(() => this.#ports.backend.read(signal));
    const { result, commands } = await repairRules(desired, before, held, nameOf);
    const { enforced } = result;
    onRules(enforced, commands);
    const observed = await beside.observe(enforced, {
      run: abortable(this.#read, signal),
      lxcProxies,
      usesUplinks: wanted.host.uplinkTables !== undefined,
    });
    uplinkLines.push(...(await beside.uplinks.close(enforced.host.uplinkTables)));
    const { diff, waited } = beside.compare(enforced, observed, network);
    await beside.routing.write({ add: NO_ROUTING, remove: diff.remove });
    const drifted = [...(await beside.sysctls.reread(enforced)), ...observed.unset];
    await this.#bringUp(enforced, joinRouting(diff.add, beside.routing.refused(enforced)), network);
    this.#settle(enforced, withheld);
    const written = [...uplinkLines, ...commands, ...renderRouting(diff), ...drifted];
    const told = { ...NO_COMPARISON, ...result, unheld, written: written.length, unrouted: this.unrouted };
    if (before === undefined) return { ...told, ...unwatchedChanges(held, enforced) };
    const repaired = repairedLines(written, { backend: this.#ports.backend, before, after: enforced });
    return { ...told, repaired: repaired.filter((line) => !waited.has(line)) };
  }

  /** After the rules are in force; and then the announcement. `part`: what changed. */
  async #bringUp(part: DesiredState, coming: Routing, network: HostNetwork): Promise<Routing> {
    const brought = await this.#beside.bringUp(part, coming, { network, known: this.#enforced });
    announce(this.#ports.announcer, brought.proxies, network, (address) => this.repairs.proxiesOf(address));
    return brought;
  }
}
