/** What is known of this host, read again part by part as events ask for it. */
import { relative } from 'node:path';
import type { EnforcedPolicy } from '../policies/compile.ts';
import type { HostConfig } from '../policies/config.ts';
import type { Container } from '../policies/endpoint.ts';
import type { HostLink } from '../policies/host-network.ts';
import { type LoadedPolicies, loadPolicies } from '../policies/load-policies.ts';
import { isPolicyFileName, type PolicyFiles } from '../policies/policy-files.ts';
import { isStrict } from '../policies/read-file.ts';
import { readPolicyFile, readPolicyFiles } from '../policies/read-policy-files.ts';
import type { TakenAddresses } from '../policies/taken-addresses.ts';
import { wiredNames } from '../policies/wired-nics.ts';
import { type DnsAddresses, NO_NAMES } from '../render/dns-name.ts';
import type { InterfaceName } from '../render/names.ts';
import type { LxcConfig, LxcFiles } from '../watchers/lxc-config/config.ts';
import { hasConfig, readLxcTree } from '../watchers/lxc-config/lxc-tree.ts';
import { type LxcConfigOptions, parseLxcConfig } from '../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../watchers/lxc-config/real-files.ts';
import { shareFiles } from '../watchers/lxc-config/shared-files.ts';
import { readRunningContainers } from '../watchers/running-containers.ts';
import type { HostInputs } from './assemble.ts';
import { BridgedReader, isBridged, leasingBridges } from './bridged-reader.ts';
import { claimedNics, linkExists, type Runtime, STOPPED } from './container-runtime.ts';
import { containerId, describeContainer } from './containers.ts';
import { forEachLimited } from './for-each-limited.ts';
import { leaseFile } from './leases.ts';
import { readLinks } from './observe.ts';
import type { Run } from './run.ts';
import { RuntimeReader } from './runtime-reader.ts';
import { unenforceableNics } from './unenforceable-nics.ts';
import { UplinkReader } from './uplink-facts.ts';

export interface KnownContainer {
  readonly lxcPath: string;
  readonly name: string;
  readonly lxc: LxcConfig;
  readonly container: Container;
  readonly runtime: Runtime;
}

export interface ContainerRef {
  readonly lxcPath: string;
  readonly name: string;
}

export interface HostReaderOptions {
  readonly config: HostConfig;
  readonly policyFolder: string;
  readonly run: Run;
  /** A container is to be read again, since LXC was slow to answer for it; without it, it is waited for. */
  readonly onLate?: (container: ContainerRef) => void;
  /** What DNS told; the same object while nothing changed. Nothing without it. */
  readonly answers?: () => DnsAddresses;
  /** Which addresses others have; the same object while nothing changed. */
  readonly taken?: () => TakenAddresses;
}

/** lxc-info is a fork each; more at once only compete for the processors. */
const FORKS = 4;

export class HostReader {
  readonly #options: HostReaderOptions;
  readonly #known = new Map<string, KnownContainer>();
  #containers: readonly Container[] | undefined;
  #complete: readonly Container[] = [];
  #veths: ReadonlyMap<string, InterfaceName> | undefined;
  /** As on the disk when it was last read, and those that the policies are compiled from; neither map is ever changed. */
  #disk: PolicyFiles | undefined;
  #files: PolicyFiles = new Map();
  #loaded: LoadedPolicies = loadPolicies(new Map());
  #links: readonly HostLink[] = [];
  /** Container ids by the host-side veth that is in use, and by the one that a configuration names. */
  readonly #usedVeths = new Map<string, string>();
  #namedVeths: ReadonlyMap<string, string> | undefined;
  readonly runtimes: RuntimeReader;
  readonly uplinks: UplinkReader;
  readonly #bridged: BridgedReader;

  constructor(options: HostReaderOptions) {
    this.#options = options;
    this.runtimes = new RuntimeReader({ run: options.run, onLate: options.onLate });
    this.uplinks = new UplinkReader(options.run);
    this.#bridged = new BridgedReader({ run: options.run, leases: options.config.leases });
  }

  /** By container id, with what was found out of those on bridges. */
  get known(): ReadonlyMap<string, KnownContainer> {
    if (!this.hasBridges) return this.#known;
    const completed = new Map(this.#completed(this.#all()).map((container) => [container.id, container]));
    return new Map(
      [...this.#known].map(([id, known]) => [id, { ...known, container: completed.get(id) ?? known.container }]),
    );
  }

  get config(): HostConfig {
    return this.#options.config;
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

  /** The policy folder's files when they were last read; `undefined` before. */
  get disk(): PolicyFiles | undefined {
    return this.#disk;
  }

  /** The container whose NIC has this host-side veth, or will have it by its configuration. */
  ownerOf(veth: string): KnownContainer | undefined {
    this.#namedVeths ??= new Map(
      [...this.#known.values()].flatMap(({ container }) =>
        claimedNics(container).flatMap(({ fixedVeth }): [string, string][] =>
          fixedVeth === undefined ? [] : [[fixedVeth, container.id]],
        ),
      ),
    );
    const id = this.#usedVeths.get(veth) ?? this.#namedVeths.get(veth);
    return id === undefined ? undefined : this.#known.get(id);
  }

  async readAll(): Promise<void> {
    await this.readPolicies();
    await this.readLinks();
    this.readTree();
    await this.readLeases();
    await this.readRunning();
  }

  /** Every container below the LXC paths. @throws Error when an LXC path can't be read. */
  readTree(): void {
    const found = this.#options.config.lxcPaths.flatMap((lxcPath) =>
      readLxcTree(lxcPath).map((name): ContainerRef => ({ lxcPath, name })),
    );
    const ids = new Set(found.map(({ lxcPath, name }) => containerId(lxcPath, name)));
    const gone = [...this.#known.values()].filter(({ container }) => !ids.has(container.id));
    const files = shareFiles(realFiles);
    for (const container of found) this.#readFound(container, files);
    for (const container of gone) this.readConfig(container);
  }

  /** One container's configuration, with all that it includes; the container is forgotten when there is none. */
  readConfig(container: ContainerRef): KnownContainer | undefined {
    const { lxcPath, name } = container;
    if (hasConfig(lxcPath, name)) return this.#readFound(container, realFiles);
    const id = containerId(lxcPath, name);
    const before = this.#known.get(id);
    // An editor may take the old file away before it writes the new one, and what runs goes on without any.
    if (before !== undefined && before.runtime.veths.size > 0) return this.#keepWithout(before, configFile(container));
    if (this.#known.delete(id)) this.#forgetLists();
    this.#bridged.forget(id);
    return undefined;
  }

  #readFound(ref: ContainerRef, files: LxcFiles & LxcConfigOptions): KnownContainer {
    const { lxcPath, name } = ref;
    const id = containerId(lxcPath, name);
    const before = this.#known.get(id);
    const lxc = parseLxcConfig(configFile(ref), files, files);
    if (before !== undefined && JSON.stringify(before.lxc) === JSON.stringify(lxc) && isOnSameLinks(before))
      return before;
    const wired = wiredNames(this.#options.config.wires, name);
    const container = keepLoadable(describeContainer(lxcPath, name, lxc, wired), lxc, before);
    const known = { lxcPath, name, lxc, container, runtime: before?.runtime ?? STOPPED };
    this.#known.set(id, known);
    this.#forgetLists();
    return known;
  }

  /** Which containers run, and with which veths. */
  async readRunning(): Promise<void> {
    const running = await readRunningContainers(this.#options.config.lxcPaths, this.#known.values());
    const ids = new Set(running.map(({ lxcPath, name }) => containerId(lxcPath, name)));
    // A link with a name that a configuration fixes tells of a container too, as it does when its event comes.
    const isLive = ({ container, runtime }: KnownContainer): boolean =>
      ids.has(container.id) ||
      runtime.veths.size > 0 ||
      claimedNics(container).some(({ fixedVeth }) => fixedVeth !== undefined && linkExists(fixedVeth));
    const known = [...this.#known.values()];
    for (const one of known) if (!isLive(one)) this.#setRuntime(one, STOPPED);
    await this.readRuntimes(known.filter(isLive));
  }

  /** Those that run though they weren't known to, and the other way round; costs no fork. */
  async changedRuntimes(): Promise<ContainerRef[]> {
    const running = await readRunningContainers(this.#options.config.lxcPaths, this.#known.values());
    const ids = new Set(running.map(({ lxcPath, name }) => containerId(lxcPath, name)));
    return [...this.#known.values()].filter(
      ({ container, runtime }) => ids.has(container.id) !== (runtime.state !== 'STOPPED'),
    );
  }

  async readRuntimes(containers: Iterable<ContainerRef>): Promise<void> {
    await forEachLimited(containers, FORKS, async ({ lxcPath, name }) => {
      const known = this.#known.get(containerId(lxcPath, name));
      if (known === undefined) return;
      const runtime = await this.runtimes.read({ ...known, before: known.runtime });
      const current = this.#known.get(known.container.id);
      if (current === undefined) return;
      this.#setRuntime(current, runtime);
      await this.#bridged.readMacs(current, runtime);
      if (runtime.veths.size === 0 && hasNoFile(current)) this.readConfig(current);
    });
  }

  /** Reads the policy folder and compiles from what is there. `files`: absolute paths; without them the whole folder. */
  async readPolicies(files?: Iterable<string>): Promise<void> {
    this.useFiles(await this.readDisk(files));
  }

  /** The same without compiling from it. */
  async readDisk(files?: Iterable<string>): Promise<PolicyFiles> {
    const { policyFolder } = this.#options;
    const read = files === undefined ? await readPolicyFiles(policyFolder, isStrict()) : new Map(this.#disk);
    for (const file of files ?? []) {
      const path = relative(policyFolder, file);
      if (!isPolicyFileName(path)) continue;
      const content = readPolicyFile(policyFolder, path, isStrict());
      if (content === undefined) read.delete(path);
      else read.set(path, content);
    }
    this.#disk = read;
    return read;
  }

  useFiles(files: PolicyFiles): void {
    if (files === this.#files) return;
    this.#files = files;
    this.#loaded = loadPolicies(files, this.#loaded);
  }

  /** Of the bridges on which containers have no static address. */
  async readLeases(): Promise<void> {
    await this.#bridged.readLeases(this.#all());
  }

  /** The files that `readLeases` reads. */
  get leaseFiles(): string[] {
    return leasingBridges(this.#all()).map((bridge) => leaseFile(this.#options.config.leases, bridge));
  }

  get hasBridges(): boolean {
    return this.#all().some(isBridged);
  }

  /** When leases end, in seconds since 1970, ascending. */
  get leaseEnds(): readonly number[] {
    return this.#bridged.leaseEnds;
  }

  async readLinks(): Promise<void> {
    const links = await readLinks(this.#options.run);
    if (JSON.stringify(links) !== JSON.stringify(this.#links)) this.#links = links;
  }

  /** The host-side veths of what runs. */
  get veths(): Iterable<string> {
    return this.#usedVeths.keys();
  }

  inputs(lastGood: ReadonlyMap<string, EnforcedPolicy> = NONE): HostInputs {
    this.#veths ??= new Map([...this.#known.values()].flatMap(({ runtime }) => [...runtime.veths]));
    const { config } = this.#options;
    return {
      config,
      loaded: this.#loaded,
      containers: this.#completed(this.#all()),
      links: this.#links,
      veths: this.#veths,
      lastGood,
      answers: this.#options.answers?.() ?? NO_NAMES,
      uplinkFacts: this.uplinks.facts,
      taken: this.#options.taken?.(),
      now: Date.now(),
    };
  }

  #all(): readonly Container[] {
    this.#containers ??= [...this.#known.values()]
      .map(({ container }) => container)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#containers;
  }

  /** The same list as the last time where nothing was found out since. */
  #completed(containers: readonly Container[]): readonly Container[] {
    if (!containers.some(isBridged)) return containers;
    const now = Date.now();
    const completed = containers.map((container) => this.#bridged.complete(container, this.#links, now));
    const before = this.#complete;
    if (completed.length !== before.length || completed.some((each, index) => each !== before[index]))
      this.#complete = completed;
    return this.#complete;
  }

  #keepWithout(before: KnownContainer, file: string): KnownContainer {
    if (hasNoFile(before)) return before;
    const problem = { file, line: 1, column: 1, message: NO_FILE, severity: 'error' as const };
    const known = {
      ...before,
      lxc: { ...before.lxc, problems: [problem] },
      container: { ...before.container, problems: [problem] },
    };
    this.#known.set(before.container.id, known);
    this.#forgetLists();
    return known;
  }

  #setRuntime(known: KnownContainer, runtime: Runtime): void {
    if (known.runtime === runtime) return;
    for (const veth of known.runtime.veths.values()) this.#usedVeths.delete(veth);
    for (const veth of runtime.veths.values()) this.#usedVeths.set(veth, known.container.id);
    this.#known.set(known.container.id, { ...known, runtime });
    this.#veths = undefined;
  }

  #forgetLists(): void {
    this.#containers = undefined;
    this.#veths = undefined;
    this.#namedVeths = undefined;
  }
}

const configFile = ({ lxcPath, name }: ContainerRef): string => `${lxcPath}/${name}/config`;

const NONE: ReadonlyMap<string, EnforcedPolicy> = new Map();

const NO_FILE = 'is gone: what runs keeps its addresses and rules until it stops';

const hasNoFile = ({ lxc }: KnownContainer): boolean => lxc.problems.some(({ message }) => message === NO_FILE);

/** A link that is no bridge of Linux's may have come or gone since. */
const isOnSameLinks = ({ lxc, container: { unenforceable = [] } }: KnownContainer): boolean =>
  JSON.stringify(unenforceableNics(lxc)) === JSON.stringify(unenforceable);

/** LXC would refuse the new configuration: what runs was started with the old one, and keeps it. */
function keepLoadable(container: Container, lxc: LxcConfig, before: KnownContainer | undefined): Container {
  if (lxc.loadable || before === undefined || before.runtime.veths.size === 0) return container;
  return { ...before.container, problems: container.problems };
}
