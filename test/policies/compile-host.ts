/** A host that a test changes step by step, as inputs of the assembler. */

import { describeContainer } from '../../controller/host/containers.ts';
import type { HostInputs } from '../../controller/pass/assemble.ts';
import { defaultConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { parseLinks } from '../../policies/host-network.ts';
import { type LoadedPolicies, loadPolicies } from '../../policies/load-policies.ts';
import type { DesiredState } from '../../render/desired.ts';
import { NO_NAMES } from '../../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { changeMap } from '../../render/shared-map.ts';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';

const PATH = '/var/lib/lxc';
/** Another map each time would count as a change of all policies. */
const NO_LAST_GOOD: HostInputs['lastGood'] = new Map();

const linksOf = (...addresses: string[]) =>
  parseLinks([
    {
      ifname: 'eth0',
      link_type: 'ether',
      address: '02:00:00:00:00:02',
      addr_info: addresses.map((text) => {
        const [local = '', length = ''] = text.split('/');
        return { local, prefixlen: Number(length), scope: local.startsWith('fe80') ? 'link' : 'global' };
      }),
    },
  ]);

/** Files and veths by container; every method is one event on the host. */
export class TestHost {
  readonly #configs = new Map<string, Container>();
  #files: ReadonlyMap<string, string> = new Map();
  readonly #veths = new Map<string, InterfaceName>();
  #links = linksOf('192.0.2.1/24', '2001:db8::1/64');
  #containers: readonly Container[] | undefined;
  #loaded: LoadedPolicies | undefined;
  #running: ReadonlyMap<string, InterfaceName> | undefined;
  #now = 0;

  configure(name: string, ...lines: string[]): this {
    const text = ['lxc.net.0.type = veth', ...lines.map((line) => `lxc.net.0.${line}`)].join('\n');
    const file = `${PATH}/${name}/config`;
    const lxc = parseLxcConfig(file, { read: (path) => (path === file ? text : undefined), list: () => undefined });
    if (lxc === undefined) throw new Error(`${name}: no configuration`);
    this.#configs.set(name, describeContainer(PATH, name, lxc));
    this.#containers = undefined;
    return this;
  }

  /** A container that is gone with its configuration; its veths stay until it stops. */
  remove(name: string): this {
    this.#configs.delete(name);
    this.#containers = undefined;
    return this;
  }

  /** RFC 3339. */
  clock(moment: string): this {
    this.#now = Date.parse(moment);
    return this;
  }

  /** `undefined`: there is no such file any more. */
  policy(path: string, text: string | undefined): this {
    this.#files = changeMap(this.#files, [[path, text]]);
    this.#loaded = loadPolicies(this.#files, this.#loaded);
    return this;
  }

  start(name: string, veth = `veth${name}`): this {
    const parsed = parseInterfaceName(veth);
    if (parsed === undefined) throw new Error(`${veth}: no name`);
    this.#veths.set(`${PATH}/${name}/0`, parsed);
    this.#running = undefined;
    return this;
  }

  stop(name: string): this {
    this.#veths.delete(`${PATH}/${name}/0`);
    this.#running = undefined;
    return this;
  }

  link(...addresses: string[]): this {
    this.#links = linksOf(...addresses);
    return this;
  }

  inputs(): HostInputs {
    this.#containers ??= [...this.#configs.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#loaded ??= loadPolicies(this.#files);
    this.#running ??= new Map(this.#veths);
    return {
      config: defaultConfig,
      loaded: this.#loaded,
      containers: this.#containers,
      links: this.#links,
      veths: this.#running,
      lastGood: NO_LAST_GOOD,
      answers: NO_NAMES,
      now: this.#now,
    };
  }
}

/** Comparable whatever the order of its NICs. */
export const plain = ({ host, nics }: DesiredState): unknown => ({
  host,
  nics: Object.fromEntries([...nics].sort(([a], [b]) => (a < b ? -1 : 1))),
});
