/** The containers below the LXC paths: what their configurations say, and what runs of them. */
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { wiredNames } from '../../policies/wired-nics.ts';
import type { InterfaceName } from '../../render/names.ts';
import { atOnce, type Pieces } from '../../render/pieces.ts';
import { changeMap } from '../../render/shared-map.ts';
import type { LxcConfig, LxcFiles } from '../../watchers/lxc-config/config.ts';
import { hasConfig, readLxcNames, readLxcTree } from '../../watchers/lxc-config/lxc-tree.ts';
import { type LxcConfigOptions, parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../watchers/lxc-config/real-files.ts';
import { shareFiles } from '../../watchers/lxc-config/shared-files.ts';
import { ReadFrom, SeenFiles } from '../../watchers/lxc-config/unchanged-files.ts';
import { claimedNics, type Runtime, STOPPED } from './container-runtime.ts';
import { containerId, describeContainer } from './containers.ts';
import { isHostsOwn } from './hosts-own.ts';
import { NamedLinks } from './named-links.ts';
import { type KeptNics, keepRunningNics } from './running-nics.ts';
import { unenforceableNics } from './unenforceable-nics.ts';

export interface KnownContainer {
  readonly lxcPath: string;
  readonly name: string;
  readonly lxc: LxcConfig;
  readonly container: Container;
  readonly runtime: Runtime;
  /** Absent where all that runs is as configured. */
  readonly kept?: KeptNics;
}

export interface ContainerRef {
  readonly lxcPath: string;
  readonly name: string;
}

export class KnownContainers {
  readonly #config: HostConfig;
  readonly #waysOut: () => ReadonlySet<string>;
  readonly #isOnce: boolean;
  /** See `readPlain`. */
  plain: ReadonlySet<string> = NONE;
  readonly #known = new Map<string, KnownContainer>();
  readonly #readFrom = new Map<string, ReadFrom>();
  readonly #refused = new Map<string, ContainerRef>();
  #sorted: readonly Container[] | undefined;
  #veths: ReadonlyMap<string, InterfaceName> | undefined;
  /** Not in `#veths` yet, which is never changed itself: callers keep the map that they were given. */
  #vethChanges: [before: Runtime, after: Runtime][] = [];
  readonly links = new NamedLinks();
  /** Container ids by the host-side veth that is in use, and by the one that a configuration names. */
  readonly #usedVeths = new Map<string, string>();
  #namedVeths: ReadonlyMap<string, readonly string[]> | undefined;

  /**
   * `waysOut`: the interfaces that default routes lead to. `isOnce`: nobody reads again, and so it isn't noted by what files and
   * links could be known again, which takes as long as reading them.
   */
  constructor(config: HostConfig, waysOut = (): ReadonlySet<string> => NONE, isOnce = false) {
    this.#config = config;
    this.#waysOut = waysOut;
    this.#isOnce = isOnce;
  }

  get byId(): ReadonlyMap<string, KnownContainer> {
    return this.#known;
  }

  /** By id; the same list while none changed. */
  get sorted(): readonly Container[] {
    this.#sorted ??= [...this.#known.values()].map(({ container }) => container).sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#sorted;
  }

  /** The host-side veths of what runs, by NIC; the same map while none changed. */
  get veths(): ReadonlyMap<string, InterfaceName> {
    this.#veths ??= new Map([...this.#known.values()].flatMap(({ runtime }) => [...runtime.veths]));
    if (this.#vethChanges.length > 0) {
      this.#veths = changeMap(
        this.#veths,
        this.#vethChanges.flatMap(([before, after]): [string, InterfaceName | undefined][] => [
          ...[...before.veths.keys()].map((key): [string, undefined] => [key, undefined]),
          ...after.veths,
        ]),
      );
      this.#vethChanges = [];
    }
    return this.#veths;
  }

  /** Whether all would be read as they were while what they were read from is the same. */
  get isCertain(): boolean {
    return [...this.#readFrom.values()].every(({ isCertain }) => isCertain);
  }

  /** By id, those of whose configurations the kernel refused to have something read. */
  get refused(): ReadonlyMap<string, ContainerRef> {
    return this.#refused;
  }

  /** What configurations were read from beside themselves. */
  get includes(): ReadonlySet<string> {
    const includes = new Set<string>();
    for (const [id, { paths }] of this.#readFrom)
      for (const path of paths) if (path !== `${id}/config`) includes.add(path);
    return includes;
  }

  get vethsInUse(): Iterable<string> {
    return this.#usedVeths.keys();
  }

  /** The container whose NIC has this host-side veth, or will have it by its configuration. */
  ownerOf(veth: string): KnownContainer | undefined {
    const id = this.#usedVeths.get(veth) ?? this.#named.get(veth)?.at(-1);
    return id === undefined ? undefined : this.#known.get(id);
  }

  /** Whether several configurations name this veth, as after a copy: a link of that name doesn't tell which of them runs. */
  readonly isAmbiguous = (veth: string): boolean => (this.#named.get(veth)?.length ?? 0) > 1;

  get #named(): ReadonlyMap<string, readonly string[]> {
    this.#namedVeths ??= namesOf([...this.#known.values()].map(({ container }) => container));
    return this.#namedVeths;
  }

  /**
   * Every container below the LXC paths.
   * @returns the ids of those that were forgotten
   * @throws Error when an LXC path can't be read.
   */
  readTree(): string[] {
    return atOnce(this.readTreeInPieces());
  }

  /** The same; nobody may ask for anything before its end. */
  *readTreeInPieces(): Pieces<string[]> {
    const found = this.#config.lxcPaths.flatMap((lxcPath) =>
      readLxcTree(lxcPath).map((name): ContainerRef => ({ lxcPath, name })),
    );
    const ids = new Set(found.map(({ lxcPath, name }) => containerId(lxcPath, name)));
    const gone = [...this.#known.values()].filter(({ container }) => !ids.has(container.id));
    const files = shareFiles(realFiles);
    const seen = new SeenFiles(this.#isOnce);
    for (const container of found) {
      this.#readFound(container, files, seen);
      yield;
    }
    return gone.filter((one) => this.readConfig(one) === undefined).map(({ container }) => container.id);
  }

  /** Whether `readTree` would find the same containers, with the same configurations. @throws Error as it does. */
  *isTreeAsRead(): Pieces<boolean> {
    let count = 0;
    for (const lxcPath of this.#config.lxcPaths)
      for (const name of readLxcNames(lxcPath)) {
        yield;
        const isKnown = this.#known.has(containerId(lxcPath, name));
        if (isKnown) count++;
        else if (hasConfig(lxcPath, name)) return false;
      }
    if (count !== this.#known.size) return false;
    const seen = new SeenFiles();
    for (const id of [...this.#known.keys()]) {
      yield;
      const known = this.#known.get(id);
      if (known !== undefined && !this.#isAsRead(known, seen)) return false;
    }
    return true;
  }

  #isAsRead(known: KnownContainer, seen: SeenFiles): boolean {
    if (!isOnSameLinks(known)) return false;
    if (this.#readFrom.get(known.container.id)?.isSame(seen) === true) return true;
    // Changed just before it was read, so that its time tells nothing.
    const lxc = parseLxcConfig(configFile(known), realFiles);
    return JSON.stringify(known.lxc) === JSON.stringify(lxc);
  }

  /** One container's configuration, with all that it includes; the container is forgotten when there is none. */
  readConfig(container: ContainerRef): KnownContainer | undefined {
    const { lxcPath, name } = container;
    if (hasConfig(lxcPath, name)) return this.#readFound(container, realFiles, new SeenFiles(this.#isOnce));
    const id = containerId(lxcPath, name);
    this.#refused.delete(id);
    const before = this.#known.get(id);
    // An editor may take the old file away before it writes the new one, and what runs goes on without any.
    if (before !== undefined && before.runtime.veths.size > 0) return this.#keepWithout(before, configFile(container));
    this.#readFrom.delete(id);
    if (this.#known.delete(id)) this.#forgetLists();
    return undefined;
  }

  /** `isTold`: as in `NamedLinks.note`. */
  setRuntime(known: KnownContainer, runtime: Runtime, isTold = true): void {
    if (known.runtime === runtime) return;
    if (!this.#isOnce) this.links.note(known, runtime, isTold);
    const { id } = known.container;
    // Another container may have got the veth before this one was known to have ended.
    for (const veth of known.runtime.veths.values()) if (this.#usedVeths.get(veth) === id) this.#usedVeths.delete(veth);
    for (const veth of runtime.veths.values()) this.#usedVeths.set(veth, id);
    this.#known.set(id, { ...known, runtime });
    if (this.#veths !== undefined && !isSameMap(known.runtime.veths, runtime.veths))
      this.#vethChanges.push([known.runtime, runtime]);
  }

  #readFound(ref: ContainerRef, files: LxcFiles & LxcConfigOptions, seen: SeenFiles): KnownContainer {
    const { lxcPath, name } = ref;
    const id = containerId(lxcPath, name);
    const before = this.#known.get(id);
    const isSettled = before !== undefined && before.kept === undefined && isOnSameLinks(before);
    if (isSettled && this.#readFrom.get(id)?.isSame(seen)) return before;
    const readFrom = new ReadFrom();
    const lxc = parseLxcConfig(configFile(ref), readFrom.noting(files, seen), files);
    this.#readFrom.set(id, readFrom);
    if (readFrom.isRefused) this.#refused.set(id, { lxcPath, name });
    else this.#refused.delete(id);
    if (isSettled && JSON.stringify(before.lxc) === JSON.stringify(lxc)) return before;
    const wired = wiredNames(this.#config.wires, name);
    const described = describeContainer(lxcPath, name, lxc, wired, (veth) =>
      isHostsOwn(veth, this.#config, this.#waysOut(), this.plain),
    );
    const runs = lxc.loadable
      ? keepRunningNics(described, before, this.links.identityOf)
      : keepUnloadable(described, before);
    const known = { lxcPath, name, lxc, ...runs, runtime: before?.runtime ?? STOPPED };
    if (before?.kept !== undefined && JSON.stringify(known) === JSON.stringify(before)) return before;
    this.#known.set(id, known);
    this.#forgetLists();
    return known;
  }

  #keepWithout(before: KnownContainer, file: string): KnownContainer {
    this.#readFrom.delete(before.container.id);
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

  /** Not of veths: what runs isn't forgotten, and keeps them whatever its configuration says by now. */
  #forgetLists(): void {
    this.#sorted = undefined;
    this.#namedVeths = undefined;
  }
}

function namesOf(containers: readonly Container[]): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const container of containers)
    for (const { fixedVeth } of claimedNics(container)) {
      if (fixedVeth === undefined) continue;
      const ids = names.get(fixedVeth);
      if (ids === undefined) names.set(fixedVeth, [container.id]);
      else ids.push(container.id);
    }
  return names;
}

const isSameMap = (a: Runtime['veths'], b: Runtime['veths']): boolean =>
  a.size === b.size && [...a].every(([key, veth]) => b.get(key) === veth);

const configFile = ({ lxcPath, name }: ContainerRef): string => `${lxcPath}/${name}/config`;

const NO_FILE = 'is gone: what runs keeps its addresses and rules until it stops';

export const hasNoFile = ({ lxc }: KnownContainer): boolean => lxc.problems.some(({ message }) => message === NO_FILE);

/** A link that is no bridge of Linux's may have come or gone since. */
const isOnSameLinks = ({ lxc, container: { unenforceable = [] } }: KnownContainer): boolean =>
  JSON.stringify(unenforceableNics(lxc)) === JSON.stringify(unenforceable);

/** LXC would refuse the new configuration: what runs was started with the old one, and keeps it. */
function keepUnloadable(
  container: Container,
  before: KnownContainer | undefined,
): Pick<KnownContainer, 'container' | 'kept'> {
  if (before === undefined || before.runtime.veths.size === 0) return { container };
  const { kept } = before;
  return { container: { ...before.container, problems: container.problems }, ...(kept && { kept }) };
}

const NONE: ReadonlySet<string> = new Set();
