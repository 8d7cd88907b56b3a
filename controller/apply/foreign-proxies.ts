/** Neighbour proxies that aren't ours, which are never to be taken over; LXC's own are no strangers. */
import type { NeighbourProxy } from '../../render/desired.ts';
import { proxyKey, type Routing, renderProxyQuestion } from '../../render/routing.ts';
import type { IpChannel } from '../commands/ip-channel.ts';
import type { Run } from '../commands/run.ts';
import { readProxies } from '../kernel/observe.ts';

/** What LXC itself put on an interface for `l2proxy = 1`, and doesn't take away. */
export interface LxcProxy extends NeighbourProxy {
  readonly running: boolean;
}

const NO_PROXY = /Proxy neighbour entry not found/;

export class ForeignProxies {
  readonly #ip: IpChannel;
  readonly #run: Run;
  /** As of the last reading. */
  #keys: ReadonlySet<string> = new Set();

  constructor({ ip, run }: { readonly ip: IpChannel; readonly run: Run }) {
    this.#ip = ip;
    this.#run = run;
  }

  /** What may be written. */
  spare = (routing: Routing): Routing => ({
    ...routing,
    proxies: routing.proxies.filter((proxy) => !this.#keys.has(proxyKey(proxy))),
  });

  learn(proxies: readonly NeighbourProxy[], lxcProxies: readonly LxcProxy[]): void {
    const lxcs = keysOf(lxcProxies);
    this.#keys = new Set(proxies.map(proxyKey).filter((key) => !lxcs.has(key)));
  }

  /** Nobody tells of proxies: one that somebody else made since the last reading would be taken over by `replace`. */
  async look(coming: readonly NeighbourProxy[], lxcProxies: () => readonly LxcProxy[]): Promise<undefined> {
    if (!(await this.#areFree(coming))) await this.#read(lxcProxies);
    return undefined;
  }

  /** Those of ours that aren't there. */
  async missing(wanted: readonly NeighbourProxy[], lxcProxies: () => readonly LxcProxy[]): Promise<NeighbourProxy[]> {
    const present = keysOf(await this.#read(lxcProxies));
    return wanted.filter((proxy) => !present.has(proxyKey(proxy)));
  }

  async #read(lxcProxies: () => readonly LxcProxy[]): Promise<readonly NeighbourProxy[]> {
    const { proxies, foreignProxies } = await readProxies(this.#run);
    this.learn(foreignProxies, lxcProxies());
    return proxies;
  }

  /** Whether nobody has a proxy there. The resident ip tells it by its complaints, which costs no fork. */
  async #areFree(proxies: readonly NeighbourProxy[]): Promise<boolean> {
    const failures = await this.#ip.run(proxies.map(renderProxyQuestion));
    if (failures.length < proxies.length || failures.some(({ message }) => !NO_PROXY.test(message))) return false;
    const free = keysOf(proxies);
    this.#keys = new Set([...this.#keys].filter((key) => !free.has(key)));
    return true;
  }
}

export const keysOf = (proxies: readonly NeighbourProxy[]): ReadonlySet<string> => new Set(proxies.map(proxyKey));
