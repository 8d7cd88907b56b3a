/** What is known of this host, read again part by part as events ask for it. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { HostLink } from '../../policies/host-network.ts';
import { type LoadedPolicies, loadPolicies } from '../../policies/load-policies.ts';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import type { Problem } from '../../policies/problem.ts';
import type { TakenAddresses } from '../../policies/taken-addresses.ts';
import { type DnsAddresses, NO_NAMES } from '../../render/dns-name.ts';
import { matchesAny } from '../../render/names.ts';
import type { BackendName } from '../apply/backend.ts';
import type { LxcProxy } from '../apply/foreign-proxies.ts';
import { attachedTo, BridgedReader, hasBridged, leasingBridges } from '../bridged/bridged-reader.ts';
import { leaseFile } from '../bridged/leases.ts';
import { patiently, type Unread } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { inTurns, type Turn } from '../in-turns.ts';
import type { WatchedFiles } from '../kernel/file-marks.ts';
import type { HostInputs } from '../pass/assemble.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import { rememberLast } from '../remember.ts';
import type { Following } from '../revisions/revisions.ts';
import { containerId } from './containers.ts';
import { HostLinks } from './host-links.ts';
import { isHostAsRead } from './host-look.ts';
import { readPlain } from './hosts-own.ts';
import { type ContainerRef, type KnownContainer, KnownContainers } from './known-containers.ts';
import { PolicyFolder } from './policy-folder.ts';
import { RunningReader } from './running-reader.ts';
import { RuntimeReader } from './runtime-reader.ts';
import { UplinkReader } from './uplink-facts.ts';
import { WaysOut } from './ways-out.ts';

export interface HostReaderOptions {
  readonly config: HostConfig;
  readonly policyFolder: string;
  /** Why the configuration's file as it is now isn't in force; the same list while it is the same file. */
  readonly configProblems?: () => readonly Problem[];
  /** See HostInputs. */
  readonly backend?: BackendName | undefined;
  readonly run: Run;
  /** Everything is read once, and nothing again: what would tell whether it is as it was isn't looked at. */
  readonly isOnce?: boolean;
  /** As `HostLinksOptions.first`. */
  readonly firstLinks?: Promise<readonly HostLink[]> | undefined;
  /** A container is to be read again, since LXC was slow to answer for it. Without this, its answer is waited for. */
  readonly onLate?: (container: ContainerRef) => void;
  /** Leases are to be read again, since they differ from what is known. */
  readonly onLateLeases?: () => void;
  /** What runs of a container couldn't be read, and stays as it was. Without this, the whole reading fails. */
  readonly onUnread?: (container: ContainerRef, why: Unread) => void;
  /** What DNS told; the same object while nothing changed. Nothing without it. */
  readonly answers?: () => DnsAddresses;
  /** Which addresses others have; the same object while nothing changed. */
  readonly taken?: () => TakenAddresses;
}

export interface RefusedFiles {
  /** Absolute paths. */
  readonly policies: ReadonlySet<string>;
  /** By container id. */
  readonly configs: ReadonlyMap<string, ContainerRef>;
  readonly leases: boolean;
}

export class HostReader {
  readonly #options: HostReaderOptions;
  readonly #containers: KnownContainers;
  #complete: readonly Container[] = [];
  /** Those that the policies are compiled from. */
  #files: PolicyFiles = new Map();
  #loaded: LoadedPolicies = loadPolicies(new Map());
  readonly folder: PolicyFolder;
  readonly runtimes: RuntimeReader;
  readonly running: RunningReader;
  readonly uplinks: UplinkReader;
  readonly #bridged: BridgedReader;
  readonly #links: HostLinks;
  readonly #waysOut: WaysOut;
  readonly #hasBridged = rememberLast(hasBridged);
  readonly #attachedOf = rememberLast(attachedTo);
  readonly #leasingBridges = rememberLast(leasingBridges);

  constructor(options: HostReaderOptions) {
    this.#options = options;
    this.#waysOut = new WaysOut(options.run);
    const { isOnce = false } = options;
    this.#containers = new KnownContainers(options.config, () => this.#waysOut.devs, isOnce);
    this.folder = new PolicyFolder(options.policyFolder, isOnce);
    this.runtimes = new RuntimeReader({ run: options.run, onLate: options.onLate });
    this.uplinks = new UplinkReader(options.run);
    this.#bridged = new BridgedReader({ run: options.run, leases: options.config.leases });
    this.running = new RunningReader({
      run: options.run,
      lxcPaths: options.config.lxcPaths,
      containers: this.#containers,
      runtimes: this.runtimes,
      bridged: this.#bridged,
      isOnce,
      readConfig: (ref) => this.readConfig(ref),
      onLate: options.onLate,
      onUnread: options.onUnread,
    });
    this.#links = new HostLinks({
      run: options.run,
      first: options.firstLinks,
      isVeth: (name) => this.isVeth(name),
      attached: () => (this.hasBridges ? this.#attachedOf(this.#completed(this.#containers.sorted)) : undefined),
    });
  }

  /** By container id, with what was found out of those on bridges. */
  get known(): ReadonlyMap<string, KnownContainer> {
    const known = this.#containers.byId;
    if (!this.hasBridges) return known;
    const completed = new Map(known);
    for (const container of this.#completed(this.#containers.sorted)) {
      const one = known.get(container.id);
      if (one !== undefined && one.container !== container) completed.set(container.id, { ...one, container });
    }
    return completed;
  }

  get config(): HostConfig {
    return this.#options.config;
  }

  get configProblems(): readonly Problem[] {
    return this.#options.configProblems?.() ?? NO_PROBLEMS;
  }

  get lxcPaths(): readonly string[] {
    return this.#options.config.lxcPaths;
  }

  get loaded(): LoadedPolicies {
    return this.#loaded;
  }

  /** What the policies are compiled from. */
  get files(): PolicyFiles {
    return this.#files;
  }

  /** How the files that were read last are to be taken. */
  get following(): Following {
    return { autoApply: this.config.autoApply, isFolderMissing: this.folder.isMissing };
  }

  /** What everything was read from; `undefined` where a look at it can't tell that all would be read the same again. */
  get watched(): WatchedFiles | undefined {
    const isCertain = this.folder.isCertain && this.#containers.isCertain && this.running.isSettled;
    if (!isCertain || this.hasBridges || this.uplinks.facts !== undefined) return undefined;
    return { folders: this.folder.folders, trees: this.config.lxcPaths, paths: this.#containers.includes };
  }

  /** Files that the kernel refused to have read, the main configuration left out; see `wasRefused`. */
  get refused(): RefusedFiles {
    return {
      policies: this.folder.refused,
      configs: this.#containers.refused,
      leases: this.#bridged.areLeasesRefused,
    };
  }

  async readAll(): Promise<void> {
    await this.readFiles();
    await this.readLeases();
    await this.running.readAll();
  }

  /** All but what runs. `onNoLinks` is told why the host's links can't be read; without it that is an error. */
  async readFiles(onNoLinks?: (cause: unknown) => void): Promise<void> {
    const ways = this.#waysOut.read(patiently);
    const plain = this.#options.isOnce === true ? readPlain(this.#options.run) : undefined;
    // The kernel takes as long to tell of ten thousand links as reading their containers' files does.
    const links = Promise.all([this.#links.read('all', patiently), ways]).catch((cause: unknown) => {
      if (onNoLinks === undefined) throw cause;
      onNoLinks(cause);
    });
    links.catch(() => undefined);
    await this.readPolicies();
    // Whether it could be read is told with the links.
    await ways.catch(() => undefined);
    if (plain !== undefined) this.#containers.plain = await plain;
    // While many files are read without a pause, ip would wait for who takes its words.
    for (const id of await inTurns(this.#containers.readTreeInPieces())) this.#forget(id);
    await links;
  }

  /** The container whose NIC has this host-side veth, or will have it by its configuration. */
  ownerOf(veth: string): KnownContainer | undefined {
    return this.#containers.ownerOf(veth);
  }

  /** As `NamedLinks.takeReplaced`. */
  takeReplaced(): ContainerRef[] {
    return this.#containers.links.takeReplaced();
  }

  /** Every container below the LXC paths. @throws Error when an LXC path can't be read. */
  readTree(): void {
    for (const id of this.#containers.readTree()) this.#forget(id);
  }

  /** One container's configuration, with all that it includes; the container is forgotten when there is none. */
  readConfig(ref: ContainerRef): KnownContainer | undefined {
    const known = this.#containers.readConfig(ref);
    if (known === undefined) this.#forget(containerId(ref.lxcPath, ref.name));
    return known;
  }

  #forget(id: string): void {
    this.#bridged.forget(id);
    this.runtimes.forgetEnd(id);
  }

  /** Whether what can be looked at without a pass is as it was read; see `isHostAsRead`. */
  async isAsRead(turn: Turn): Promise<boolean> {
    if (this.uplinks.facts !== undefined) return false;
    const bridges = this.#leasingBridges(this.#containers.sorted);
    const parts = { folder: this.folder, containers: this.#containers, bridged: this.#bridged, bridges };
    return await isHostAsRead({ ...this.#options, ...parts, turn });
  }

  /** Whether links say of the host what is known. */
  areLinksKnown(links: readonly HostLink[]): boolean {
    return this.#links.areKnown(links);
  }

  /** Whether it is the host-side veth of a container, known or not. Uplinks that the administrator named never are. */
  isVeth(name: string): boolean {
    const { guard, uplinks } = this.#options.config;
    if (uplinks !== 'auto' && uplinks.some((uplink) => uplink === name)) return false;
    return this.ownerOf(name) !== undefined || matchesAny(name, guard);
  }

  /** Reads the policy folder and compiles from what is there. `files`: absolute paths; without them the whole folder. */
  async readPolicies(files?: Iterable<string>): Promise<void> {
    this.useFiles(await this.folder.read(files));
  }

  useFiles(files: PolicyFiles): void {
    if (files === this.#files) return;
    this.#files = files;
    this.#loaded = loadPolicies(files, this.#loaded);
  }

  /** Of the bridges on which containers have no static address. */
  async readLeases(): Promise<void> {
    await this.#bridged.readLeases(this.#leasingBridges(this.#containers.sorted));
  }

  /** The files that `readLeases` reads. */
  get leaseFiles(): string[] {
    if (!this.hasBridges) return [];
    return this.#leasingBridges(this.#containers.sorted).map((bridge) =>
      leaseFile(this.#options.config.leases, bridge),
    );
  }

  get hasBridges(): boolean {
    return this.#hasBridged(this.#containers.sorted);
  }

  /** When leases end, in seconds since 1970, ascending. */
  get leaseEnds(): readonly number[] {
    return this.#bridged.leaseEnds;
  }

  /** As `HostLinks.read`; with all of them what default routes lead to, by which configurations are read. */
  async readLinks(which: DirtyParts['links'] = 'all', wait = patiently): Promise<boolean> {
    const isRead = await this.#links.read(which, wait);
    // One behind the other: `wait` is for one reading at a time.
    if (which === 'all') await this.#waysOut.read(wait);
    return isRead;
  }

  /** The host-side veths of what runs. */
  get veths(): Iterable<string> {
    return this.#containers.vethsInUse;
  }

  /** What LXC itself proxies for `l2proxy = 1`. */
  readonly lxcProxies = (): LxcProxy[] =>
    [...this.#containers.byId.values()].flatMap(({ container, runtime }) =>
      container.endpoints.flatMap(({ key, addresses, proxiedByLxcOn: dev }) =>
        dev === undefined ? [] : addresses.map((address) => ({ address, dev, running: runtime.veths.has(key) })),
      ),
    );

  inputs(lastGood: ReadonlyMap<string, CompiledPolicy> = NONE): HostInputs {
    const { config, backend } = this.#options;
    return {
      config,
      backend,
      loaded: this.#loaded,
      containers: this.#completed(this.#containers.sorted),
      links: this.#links.all,
      veths: this.#containers.veths,
      lastGood,
      answers: this.#options.answers?.() ?? NO_NAMES,
      uplinkFacts: this.uplinks.facts,
      taken: this.#options.taken?.(),
      now: Date.now(),
    };
  }

  /** The same list as the last time where nothing was found out since. */
  #completed(containers: readonly Container[]): readonly Container[] {
    if (!this.#hasBridged(containers)) return containers;
    const now = Date.now();
    const completed = containers.map((container) => this.#bridged.complete(container, this.#links.all, now));
    const before = this.#complete;
    if (completed.length !== before.length || completed.some((each, index) => each !== before[index]))
      this.#complete = completed;
    return this.#complete;
  }
}

const NO_PROBLEMS: readonly Problem[] = [];
const NONE: ReadonlyMap<string, CompiledPolicy> = new Map();
