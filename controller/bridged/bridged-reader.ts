/** What is found out about NICs on bridges: hardware addresses once they run, and what is leased to them. */
import { isDeepStrictEqual } from 'node:util';
import type { Container } from '../../policies/endpoint.ts';
import type { HostLink } from '../../policies/host-network.ts';
import type { Mac } from '../../render/mac.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { ContainerId } from '../../watchers/running-containers.ts';
import { abortable } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { linkIdentity, type Runtime } from '../host/container-runtime.ts';
import { askMonitor } from '../host/monitor.ts';
import { readMacsInside } from '../host/namespace-veths.ts';
import { messageOf } from '../log.ts';
import { type Found, isGiven, withFound } from './bridged-nics.ts';
import { keepLeases, type Lease, leaseFile, readLeases } from './leases.ts';

export interface BridgedReaderOptions {
  readonly run: Run;
  /** See `leaseFile`. */
  readonly leases: string;
}

/** A container that is slow to answer is asked again with the next event. */
const PATIENCE_MS = 500;

export class BridgedReader {
  readonly #options: BridgedReaderOptions;
  readonly #macs = new Map<string, SeenMac>();
  /** By endpoint key, of all that run. */
  readonly #present = new Map<string, Mac>();
  #leases: ReadonlyMap<string, readonly Lease[]> = new Map();
  #failures: Found['failures'] = new Map();
  readonly #complete = new Map<string, Completed>();
  /** What `complete` looks at, as it was the last time. */
  #found: { readonly links: readonly HostLink[]; readonly until: number; readonly found: Found } | undefined;

  constructor(options: BridgedReaderOptions) {
    this.#options = options;
  }

  /** When leases end that don't last for ever, in seconds since 1970, ascending. */
  get leaseEnds(): number[] {
    const ends = [...this.#leases.values()].flat().map(({ expires }) => expires / 1000);
    return [...new Set(ends.filter(Number.isFinite))].sort((a, b) => a - b);
  }

  /**
   * `bridges`: those on which a NIC has no static address. Running containers keep what was leased to them. A file that can't
   * be read leases nothing, and is a problem of the containers that it is for.
   */
  async readLeases(bridges: readonly InterfaceName[]): Promise<void> {
    const { leases, failures } = await this.#readLeases(bridges);
    this.#found = undefined;
    this.#leases = leases;
    this.#failures = failures;
  }

  /** Whether some of the files couldn't be read. */
  get areLeasesRefused(): boolean {
    return this.#failures.size > 0;
  }

  /** Whether `readLeases` would come to what is known, and none of it has ended since. */
  async areLeasesKnown(bridges: readonly InterfaceName[]): Promise<boolean> {
    const { leases, failures } = await this.#readLeases(bridges);
    if (this.#found !== undefined && Date.now() >= this.#found.until) return false;
    return isDeepStrictEqual(leases, this.#leases) && isDeepStrictEqual(failures, this.#failures);
  }

  async #readLeases(bridges: readonly InterfaceName[]): Promise<Pick<Found, 'leases' | 'failures'>> {
    const read = await Promise.all(
      bridges.map(async (bridge) => {
        const file = leaseFile(this.#options.leases, bridge);
        return await readLeases(file).then(
          (leases) => ({ bridge, leases, failure: undefined }),
          (cause: unknown) => ({ bridge, leases: [], failure: { file, message: messageOf(cause) } }),
        );
      }),
    );
    const present = new Set(this.#present.values());
    const keep = (bridge: string): Lease[] =>
      (this.#leases.get(bridge) ?? []).filter(({ mac, expires }) => present.has(mac) && expires > Date.now());
    const leases = new Map(
      read.map(({ bridge, leases, failure }) => [
        bridge,
        failure === undefined ? keepLeases(keep(bridge), leases) : leases,
      ]),
    );
    const failed = ({ bridge, failure }: (typeof read)[number]) =>
      failure === undefined ? [] : [[bridge, failure] as const];
    return { leases, failures: new Map(read.flatMap(failed)) };
  }

  /**
   * Reads those hardware addresses that no configuration fixes, once for each veth. @returns false where LXC was too slow to
   * answer: then it is to be asked again.
   */
  async readMacs(asked: Asked, runtime: Runtime): Promise<boolean> {
    try {
      return await this.#lookUp(asked, runtime);
    } finally {
      this.#notePresent(asked, runtime);
    }
  }

  #notePresent(asked: Asked, runtime: Runtime): void {
    for (const { key, attachment } of asked.container.endpoints) {
      const mac = attachment?.mac ?? this.#macs.get(key)?.mac;
      if (attachment === undefined || mac === undefined || !runtime.veths.has(key)) this.#present.delete(key);
      else this.#present.set(key, mac);
    }
  }

  /** Whether `readMacs` would ask for none. */
  hasMacs(container: Container, runtime: Runtime): boolean {
    return lacking(container, runtime, this.#macs).length === 0;
  }

  async #lookUp({ lxcPath, name, container }: Asked, runtime: Runtime): Promise<boolean> {
    // One that was made anew under its name has another hardware address: the old one isn't its own.
    for (const { key, attachment } of container.endpoints) {
      if (attachment === undefined) continue;
      if (!isSameLink(runtime.veths.get(key), this.#macs.get(key)) && this.#macs.delete(key)) this.#found = undefined;
    }
    const wanted = lacking(container, runtime, this.#macs);
    // While it starts, LXC's monitor may be waiting for our own hook.
    const isBetween = runtime.state === 'STARTING' || runtime.state === 'STOPPING';
    if (wanted.length === 0 || (isBetween && runtime.initPid === undefined)) return true;
    const init = await this.#findInit({ lxcPath, name }, runtime);
    if (init === undefined) return false;
    if (init.pid === undefined) return true;
    // It may have ended meanwhile: then nothing of it is to be known.
    const macs = await readMacsInside(this.#options.run, init.pid);
    for (const { key, veth, link, hwaddr } of wanted) {
      const mac = macs.get(veth);
      // LXC sets the one of a template only after its veth is there.
      if (mac === undefined || !isGiven(mac, hwaddr)) continue;
      this.#macs.set(key, { link, mac });
      this.#found = undefined;
    }
    return true;
  }

  /** Without a pid where it has none; `undefined` where nobody answers in time. */
  async #findInit(
    container: ContainerId,
    { initPid }: Runtime,
  ): Promise<{ readonly pid: number | undefined } | undefined> {
    if (initPid !== undefined) return { pid: initPid };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    try {
      const answer = await askMonitor(abortable(this.#options.run, signal), container);
      return { pid: answer?.pid };
    } catch (cause) {
      if (signal.aborted) return undefined;
      throw cause;
    }
  }

  /** With what was found; the same object as the last time where nothing changed. */
  complete(container: Container, links: readonly HostLink[], now: number): Container {
    if (!isBridged(container)) return container;
    const found = this.#findings(links, now);
    const before = this.#complete.get(container.id);
    if (before?.container === container && before.found === found) return before.result;
    const fresh = withFound(container, found);
    const text = JSON.stringify([fresh.problems, fresh.endpoints.map((one) => [one.addresses, one.attachment])]);
    const result = before?.container === container && before.text === text ? before.result : fresh;
    this.#complete.set(container.id, { container, found, text, result });
    return result;
  }

  #findings(links: readonly HostLink[], now: number): Found {
    if (this.#found?.links === links && now < this.#found.until) return this.#found.found;
    const macs = new Map([...this.#macs].map(([key, { mac }]) => [key, mac]));
    const leases = new Map(
      [...this.#leases].map(([bridge, all]) => [bridge, all.filter(({ expires }) => expires > now)]),
    );
    const found = { macs, leases, links, failures: this.#failures };
    const until = Math.min(...[...leases.values()].flat().map(({ expires }) => expires), Number.POSITIVE_INFINITY);
    this.#found = { links, until, found };
    return found;
  }

  forget(id: string): void {
    this.#complete.delete(id);
    this.#found = undefined;
    for (const known of [this.#macs, this.#present])
      for (const key of known.keys()) if (key.startsWith(`${id}/`)) known.delete(key);
  }
}

interface SeenMac {
  /** As in `linkIdentity`. */
  readonly link: string;
  readonly mac: Mac;
}

function isSameLink(veth: InterfaceName | undefined, seen: SeenMac | undefined): boolean {
  const link = veth && linkIdentity(veth);
  return link !== undefined && seen?.link === link;
}

/** Running NICs whose hardware address is neither fixed by a configuration nor seen yet. */
const lacking = ({ endpoints }: Container, { veths }: Runtime, macs: ReadonlyMap<string, SeenMac>) =>
  endpoints.flatMap(({ key, attachment }) => {
    const veth = veths.get(key);
    if (attachment === undefined || attachment.mac !== undefined || veth === undefined) return [];
    const link = linkIdentity(veth);
    if (link === undefined || macs.get(key)?.link === link) return [];
    return [{ key, veth, link, hwaddr: attachment.hwaddr ?? '' }];
  });

interface Completed {
  readonly container: Container;
  readonly found: Found;
  readonly text: string;
  readonly result: Container;
}

interface Asked {
  readonly lxcPath: string;
  readonly name: string;
  readonly container: Container;
}

export const isBridged = ({ endpoints }: Container): boolean =>
  endpoints.some(({ attachment }) => attachment !== undefined);

export const hasBridged = (containers: readonly Container[]): boolean => containers.some(isBridged);

/** Their bridges, and the hardware addresses that are theirs. */
export function attachedTo(containers: readonly Container[]): { bridges: Set<string>; macs: Set<string> } {
  const attachments = containers.flatMap(({ endpoints }) => endpoints.flatMap(({ attachment }) => attachment ?? []));
  return {
    bridges: new Set(attachments.map(({ bridge }) => bridge)),
    macs: new Set(attachments.flatMap(({ mac }) => mac ?? [])),
  };
}

export const leasingBridges = (containers: readonly Container[]): InterfaceName[] => [
  ...new Set(
    containers.flatMap(({ endpoints }) =>
      endpoints.flatMap(({ attachment }) => (attachment?.isLeased === true ? [attachment.bridge] : [])),
    ),
  ),
];
