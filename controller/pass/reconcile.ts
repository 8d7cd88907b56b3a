/** One pass: reads again what is dirty, puts everything together, and brings the kernel to it. */
import type { HostConfig } from '../../policies/config.ts';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import type { Problem } from '../../policies/problem.ts';
import type { Prefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import type { DnsAddresses } from '../../render/dns-name.ts';
import { type Applied, type ApplyRequest, joinApplied } from '../apply/applied.ts';
import type { Applier } from '../apply/apply.ts';
import type { BackendName } from '../apply/backend.ts';
import { handedOver, withoutTaken } from '../apply/handed-over.ts';
import { orUnread, patiently, Unread, type Wait } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import type { ConntrackCleaner } from '../connections/conntrack.ts';
import type { FlowCutter } from '../connections/cut-flows.ts';
import { HostReader } from '../host/host-reader.ts';
import type { ContainerRef, KnownContainer } from '../host/known-containers.ts';
import { type Log, messageOf } from '../log.ts';
import type { Panic } from '../panic/panic.ts';
import type { PanicScope } from '../panic/panic-scope.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import type { Choice, Order, Revisions } from '../revisions/revisions.ts';
import type { LastGood } from '../state/last-good.ts';
import type { TrafficControl } from '../traffic/traffic-control.ts';
import type { Assembled } from './assemble.ts';
import { type DirtyParts, mergeDirty } from './dirty.ts';
import type { Outcome } from './outcome.ts';
import { PassAssembler } from './pass-assembler.ts';
import { ResyncLook } from './resync-look.ts';

export interface ReconcilerOptions {
  readonly config: HostConfig;
  readonly policyFolder: string;
  /** See HostReaderOptions. */
  readonly configProblems?: () => readonly Problem[];
  /** The one that serves. */
  readonly backend: BackendName;
  readonly applier: Applier;
  readonly lastGood: LastGood;
  readonly revisions: Revisions;
  readonly panic: Panic;
  readonly traffic: TrafficControl;
  /** For what only reads the host. */
  readonly run: Run;
  readonly log: Log;
  /** A container's configuration was read; these files belong to it. */
  readonly onConfigRead: (known: KnownContainer) => void;
  /** See HostReaderOptions. */
  readonly onLate?: (container: ContainerRef) => void;
  readonly onLateLeases?: () => void;
  readonly onUnread?: (container: ContainerRef, why: Unread) => void;
  /** The settings of these interfaces are for the next pass. */
  readonly onPostponed?: (devs: readonly string[]) => void;
  readonly answers?: () => DnsAddresses;
  readonly claims: AddressClaims;
  readonly conntrack: Pick<ConntrackCleaner, 'waiting' | 'release'>;
  readonly cutter: Pick<FlowCutter, 'expect'>;
}

/** How long a pass waits for what it can do without, since it is known from before. */
export interface Waits {
  /** Puts the comparison aside; see Applier.resync. */
  readonly comparison: AbortSignal | undefined;
  /** For the host's links and routes. */
  readonly host: Wait;
  /** For tc, which limits and wires need. */
  readonly traffic: Wait;
}

/** Interfaces, each with a few settings. */
const SETTINGS_AT_ONCE = 200;

const PATIENT: Waits = { comparison: undefined, host: patiently, traffic: patiently };

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #assembler: PassAssembler;
  readonly reader: HostReader;
  /** Rules put back ahead of passes, until one comes to its end and tells of them: what began without them is judged anew then. */
  readonly #restored: string[] = [];
  /** Why the disk takes no last good policies. */
  #complaint: string | undefined;
  /** Whether a pass is needed at all. */
  readonly look: ResyncLook;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.reader = new HostReader({ ...options, taken: () => options.claims.taken });
    this.#assembler = new PassAssembler({ ...options, reader: this.reader });
    this.look = new ResyncLook({ ...options, reader: this.reader });
  }

  /**
   * `order`: carried out with what is read now, or told to be refused in the outcome. `join`: asked once all that is dirty has
   * been read, for what somebody began to wait for meanwhile.
   * @throws Error when something could not be read, or when the kernel's state is not known afterwards.
   */
  async reconcile(
    first: DirtyParts,
    order?: Order,
    waits = PATIENT,
    join = (): DirtyParts | undefined => undefined,
  ): Promise<Outcome> {
    const { applier, panic, traffic, claims } = this.#options;
    // In a panic what seals comes back first, with the comparison.
    if (first.deleted && !panic.isOn) this.#restored.push(...(await applier.putBack()));
    const isAsProven = first.resync && (await applier.proof.look(this.reader.watched, waits.comparison));
    const { files } = applier.proof;
    const seal = first.resync && !isAsProven ? await this.#verifySeal(waits) : [];
    const { dirty, disk } = await this.#readDirty(first, waits, isAsProven, join);
    claims.release(this.reader.veths);
    const choice = await this.#choose(disk, order);
    const assembled = await this.#assembler.assemble(choice, areUplinksStale(dirty), waits.host);
    const before = applier.enforced;
    const isComparing = dirty.resync && !(seal instanceof Unread);
    const { applied, released } = await this.#bringIntoForce(assembled, choice, isComparing, waits.comparison);
    const unread = seal instanceof Unread ? seal : applied.unread;
    const isCompared = dirty.resync && unread === undefined;
    const mended = await this.#repair(dirty, applied, isCompared, waits.traffic);
    this.#keepLastGood();
    this.#restored.length = 0;
    this.look.notePass(assembled.desired);
    if (first.resync && first.tree && first.running && first.policies === 'all') this.look.noteRead(files);
    return {
      ...{ assembled, before, released, choice, isCompared, traffic: traffic.failures },
      applied: { ...applied, unrouted: applier.unrouted },
      repaired: [...(seal instanceof Unread ? [] : seal), ...applied.repaired, ...mended.lines],
      unread: unread ?? mended.unread,
    };
  }

  /** `isAsProven`: the links too are as they were read. */
  async #readDirty(
    first: DirtyParts,
    waits: Waits,
    isAsProven: boolean,
    join: () => DirtyParts | undefined,
  ): Promise<{ readonly dirty: DirtyParts; readonly disk: PolicyFiles }> {
    const disk = await this.#readFiles(first);
    await this.#read(isAsProven ? { ...first, links: new Set() } : first, waits, isAsProven);
    const late = join();
    if (late === undefined) return { dirty: first, disk };
    const lateDisk = await this.#readFiles(late);
    await this.#read(late, waits, isAsProven);
    return { dirty: mergeDirty(first, late), disk: lateDisk };
  }

  /** From the records on the disk to the rules, and routes behind them. */
  async #bringIntoForce(
    { desired, network, policies }: Assembled,
    { isUnconfirmed }: Choice,
    isComparing: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly applied: Applied; readonly released: ReadonlySet<Prefix> }> {
    const { panic, lastGood, cutter } = this.#options;
    await panic.cover(this.#panicScope(desired));
    // What may be taken back must not come back as a last good policy. What the disk refuses now is tried again, and told of,
    // at the end of the pass.
    if (!isUnconfirmed) await lastGood.note(policies, this.reader.files).catch(() => undefined);
    cutter.expect({ desired, network });
    const request = { desired, network, lxcProxies: this.reader.lxcProxies };
    const { applied, released } = await this.#apply(request, isComparing, signal);
    await panic.settle(this.#panicScope(applied.enforced));
    return { applied: { ...applied, repaired: [...this.#restored, ...applied.repaired] }, released };
  }

  /** What others took away, as events told; nothing of that is left after a comparison, but for what tc holds. */
  async #repair(
    { veths, proxies, sysctls, traffic: edited, uplinks }: DirtyParts,
    applied: Applied,
    isCompared: boolean,
    wait: Wait,
  ): Promise<{ readonly lines: readonly string[]; readonly unread: Unread | undefined }> {
    const { applier, traffic } = this.#options;
    const lines: string[] = [];
    let unread: Unread | undefined;
    const repair = async (isDue: boolean, work: () => Promise<readonly string[]>): Promise<void> => {
      if (isCompared || !isDue) return;
      const mended = await orUnread(work);
      if (mended instanceof Unread) unread ??= mended;
      else lines.push(...mended);
    };
    await repair(veths.size > 0, async () => {
      await applier.repairs.reassert(veths, applied);
      return [];
    });
    await repair(proxies.size > 0, () => applier.repairs.restoreProxies(proxies, this.reader.lxcProxies));
    await repair(sysctls.size > 0, () => this.#repairSettings(sysctls));
    lines.push(...(await traffic.keep(applied.enforced, { resync: isCompared, links: veths, edited }, wait)));
    await repair(uplinks, () => applier.repairs.restoreUplinks());
    return { lines, unread };
  }

  /** The kernel holds what it shall hold: neither a slow nor a full disk must make that a failed pass. */
  #keepLastGood(): void {
    const { lastGood, log } = this.#options;
    lastGood.save().then(
      () => {
        this.#complaint = undefined;
      },
      (cause: unknown) => {
        const complaint = messageOf(cause);
        // Each pass tries.
        if (complaint !== this.#complaint) log('error', `last good policies can't be kept: ${complaint}`);
        this.#complaint = complaint;
      },
    );
  }

  /** Waited for without limit where nothing is known of the kernel. @returns what was mended. */
  async #verifySeal({ comparison }: Waits): Promise<readonly string[] | Unread> {
    const { applier, panic } = this.#options;
    return applier.enforced === undefined ? await panic.verify() : await orUnread(() => panic.verify(comparison));
  }

  #panicScope({ nics }: DesiredState): PanicScope {
    const { reader } = this;
    return {
      config: this.#options.config,
      containers: () => [...reader.known.values()].map(({ container }) => container),
      nics: () => nics.values(),
    };
  }

  /** A NIC that gets another's address starts without that one's connections: established, they would pass its rules. */
  async #apply(
    request: ApplyRequest,
    resync: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ applied: Applied; released: ReadonlySet<Prefix> }> {
    const { applier, conntrack } = this.#options;
    const { desired } = request;
    const bring = (part: ApplyRequest) => (resync ? applier.resync(part, signal) : applier.apply(part));
    const { takers, released } = handedOver(applier.enforced, desired, conntrack.waiting);
    if (takers.size === 0) return { applied: await bring(request), released };
    const first = await bring({ ...request, desired: withoutTaken(applier.enforced, desired, takers) });
    await conntrack.release([...released]);
    return { applied: joinApplied(first, await applier.apply(request)), released };
  }

  async #readFiles({ policies }: DirtyParts): Promise<PolicyFiles> {
    const { folder } = this.reader;
    try {
      if (policies === 'all' || folder.files === undefined) return await folder.read();
      return policies.size === 0 ? folder.files : await folder.read(policies);
    } catch (cause) {
      // What has to be taken back doesn't wait for a folder that can't be read.
      if (folder.files === undefined || this.#options.revisions.book.journal.unconfirmed === null) throw cause;
      this.#options.log('error', messageOf(cause));
      return folder.files;
    }
  }

  async #choose(disk: PolicyFiles, order: Order | undefined): Promise<Choice> {
    const { revisions } = this.#options;
    const choice = await revisions.choose(disk, this.reader.following, order);
    this.reader.useFiles(choice.files);
    return choice;
  }

  /** `isAsProven`: the links too are as they were read. */
  async #read(dirty: DirtyParts, { host }: Waits, isAsProven: boolean): Promise<void> {
    const { reader } = this;
    const isRead = await reader.readLinks(dirty.links, host);
    // A comparison that goes by links as they were proves nothing.
    if (dirty.resync && !isRead && !isAsProven) this.#options.applier.proof.forget();
    if (dirty.tree) {
      reader.readTree();
      for (const known of reader.known.values()) this.#options.onConfigRead(known);
    }
    for (const container of dirty.configs.values()) {
      const known = reader.readConfig(container);
      if (known !== undefined) this.#options.onConfigRead(known);
    }
    if (dirty.running) await reader.running.readAll();
    await reader.running.readSome(dirty.runtimes.values());
    if (dirty.leases || dirty.tree || dirty.configs.size > 0) await reader.readLeases();
  }

  /** Some at a time: the daemon's own writing causes events of all ten thousand, and containers that start would wait. */
  async #repairSettings(devs: ReadonlySet<string>): Promise<readonly string[]> {
    const { applier, onPostponed } = this.#options;
    const most = devs.has('all') || onPostponed === undefined ? devs.size : SETTINGS_AT_ONCE;
    const now = new Set([...devs].slice(0, most));
    if (devs.size > most) onPostponed?.([...devs].slice(most));
    return await applier.repairs.restoreSysctls(now);
  }
}

const areUplinksStale = ({ links, uplinks, resync }: DirtyParts): boolean =>
  links === 'all' || links.size > 0 || uplinks || resync;
