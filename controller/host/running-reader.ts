/** Which containers run, and with which veths; read anew for all of them or for those of which events tell. */
import type { BridgedReader } from '../bridged/bridged-reader.ts';
import { forEachLimited } from '../commands/for-each-limited.ts';
import { orUnread, reading, Unread } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import {
  type LinkExists,
  linkExists,
  listLinks,
  mayHaveEnded,
  needsNoAnswer,
  type Runtime,
  readNamedRuntime,
  STOPPED,
} from './container-runtime.ts';
import { containerId } from './containers.ts';
import { type ContainerRef, hasNoFile, type KnownContainer, type KnownContainers } from './known-containers.ts';
import { isLive, listeningIds } from './live-containers.ts';
import { listSilent } from './monitor.ts';
import type { RuntimeReader } from './runtime-reader.ts';

export interface RunningReaderOptions {
  readonly run: Run;
  readonly lxcPaths: readonly string[];
  readonly containers: KnownContainers;
  readonly runtimes: RuntimeReader;
  readonly bridged: BridgedReader;
  /** As in HostReaderOptions. */
  readonly isOnce: boolean;
  readonly readConfig: (container: ContainerRef) => KnownContainer | undefined;
  /** As in HostReaderOptions. */
  readonly onLate?: ((container: ContainerRef) => void) | undefined;
  readonly onUnread?: ((container: ContainerRef, why: Unread) => void) | undefined;
}

/** To ask a monitor is a fork each; more at once only compete for the processors. */
const FORKS = 4;

export class RunningReader {
  readonly #options: RunningReaderOptions;
  readonly #containers: KnownContainers;
  #isSettled = false;

  constructor(options: RunningReaderOptions) {
    this.#options = options;
    this.#containers = options.containers;
  }

  /** LXC need not be asked what runs, while its sockets and the links are the same. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  async readAll(): Promise<void> {
    const listening = await this.#listening();
    const known = [...this.#containers.byId.values()];
    // Not in a daemon, whose reading may take long: it isn't to hold what was true at its beginning against later events.
    const exists = this.#options.isOnce ? listLinks() : undefined;
    const live = new Set(known.filter((one) => isLive(one, listening, this.#containers.isAmbiguous, exists)));
    for (const one of known) {
      // Where somebody listens for it, what was told of its end was not its last.
      if (live.has(one)) this.#options.runtimes.forgetEnd(one.container.id);
      else this.#containers.setRuntime(one, STOPPED);
    }
    await this.#read(
      [...live].filter((one) => exists === undefined || !this.#readByName(one, exists)),
      false,
      exists,
    );
    this.#options.runtimes.endFirst();
    this.#isSettled = [...live].every(({ container: { id } }) => isSettled(this.#containers.byId.get(id)));
  }

  /** Those that run though they weren't known to, and the other way round; costs no fork. */
  async changed(): Promise<ContainerRef[]> {
    const listening = await this.#listening();
    const changed = [...this.#containers.byId.values()].filter(
      ({ container, runtime }) => listening.has(container.id) !== (runtime.state !== 'STOPPED'),
    );
    const { runtimes } = this.#options;
    for (const { container } of changed)
      if (listening.has(container.id) || !runtimes.isOver(container.id)) runtimes.forgetEnd(container.id);
    return changed;
  }

  /** As their configurations are now: the event of a container that was made anew may come before that of its file. */
  async readSome(containers: Iterable<ContainerRef>): Promise<void> {
    // LXC tells of some that it doesn't list itself, such as hidden ones: they stay unknown.
    const known = [...containers].filter(({ lxcPath, name }) => this.#containers.byId.has(containerId(lxcPath, name)));
    await this.#read(
      known.flatMap((container) => this.#options.readConfig(container) ?? []),
      true,
    );
  }

  #listening(): Promise<ReadonlySet<string>> {
    return listeningIds(this.#options.lxcPaths, this.#containers.byId.values());
  }

  /** Without a wait for each of thousands. @returns whether there was nothing to wait for */
  #readByName(known: KnownContainer, exists: LinkExists): boolean {
    const { container, kept } = known;
    if (kept !== undefined || container.endpoints.some(({ attachment }) => attachment !== undefined)) return false;
    const runtime = readNamedRuntime(container, this.#containers.isAmbiguous, exists);
    if (runtime !== undefined) this.#containers.setRuntime(known, runtime, false);
    return runtime !== undefined;
  }

  /** `isTold`: as in `KnownContainers.setRuntime`. */
  async #read(containers: readonly ContainerRef[], isTold: boolean, exists?: LinkExists): Promise<void> {
    const { bridged, readConfig, onLate, onUnread } = this.#options;
    const silent = await this.#silent(containers);
    await forEachLimited(containers, FORKS, async ({ lxcPath, name }) => {
      const id = containerId(lxcPath, name);
      const known = this.#containers.byId.get(id);
      if (known === undefined) return;
      const found = await this.#readRuntime(known, exists, silent.has(id));
      const current = this.#containers.byId.get(known.container.id);
      if (current === undefined) return;
      const runtime = isTold ? this.#containers.links.withoutReplaced(current, found) : found;
      this.#containers.setRuntime(current, runtime, isTold);
      if (runtime !== found) this.#options.runtimes.unsettle(id);
      const isAnswered = await orUnread(() => reading(() => bridged.readMacs(current, runtime)));
      if (isAnswered instanceof Unread) onUnread?.(current, isAnswered);
      else if (!isAnswered) onLate?.(current);
      // Addresses and NICs that were kept for what ran are no longer needed.
      if (hasNoFile(current) ? runtime.veths.size === 0 : current.kept !== undefined) readConfig(current);
    });
  }

  #mayHaveEnded({ container, runtime }: KnownContainer): boolean {
    return mayHaveEnded(runtime) || (runtime.state !== 'STOPPED' && this.#options.runtimes.isOver(container.id));
  }

  #isKnownToHaveEnded({ container, runtime: before }: KnownContainer): boolean {
    return this.#options.runtimes.ended({ container, before }) !== undefined;
  }

  /** Ids of those that have ended, where that spares many of them a fork each. */
  async #silent(containers: readonly ContainerRef[]): Promise<ReadonlySet<string>> {
    const asked = containers.filter(({ lxcPath, name }) => {
      const known = this.#containers.byId.get(containerId(lxcPath, name));
      return known !== undefined && this.#mayHaveEnded(known) && !this.#isKnownToHaveEnded(known);
    });
    if (asked.length < 2) return new Set();
    const silent = await orUnread(() => reading(() => listSilent(this.#options.run, asked)));
    return new Set(silent instanceof Unread ? [] : silent.map(({ lxcPath, name }) => containerId(lxcPath, name)));
  }

  async #readRuntime(known: KnownContainer, exists: LinkExists | undefined, isSilent: boolean): Promise<Runtime> {
    const { runtimes, readConfig, onUnread } = this.#options;
    const before = known.runtime;
    const { isAmbiguous } = this.#containers;
    const renewed = () => {
      const now = readConfig(known);
      return now && { ...now, before: now.runtime, isAmbiguous };
    };
    const runtime = await orUnread(() =>
      reading(() => runtimes.read({ ...known, before, isAmbiguous, exists, isSilent }, renewed)),
    );
    if (!(runtime instanceof Unread)) return runtime;
    if (onUnread === undefined) throw runtime;
    onUnread(known, runtime);
    return { ...before, veths: new Map([...before.veths].filter(([, veth]) => linkExists(veth))) };
  }
}

const isSettled = (known: KnownContainer | undefined): boolean =>
  known === undefined || needsNoAnswer(known.container, known.runtime);
