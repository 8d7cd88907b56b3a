/** What has to be read again. Events only mark here, so that a thousand of them cost one reading. */
import type { ContainerRef } from '../host/known-containers.ts';

export interface DirtyParts {
  /** The main configuration: everything is built anew from it. */
  config: boolean;
  /** Which containers exist. */
  tree: boolean;
  /** Which containers run. */
  running: boolean;
  configs: Map<string, ContainerRef>;
  runtimes: Map<string, ContainerRef>;
  policies: 'all' | Set<string>;
  /** By name, those that changed. */
  links: 'all' | Set<string>;
  /** What DHCP servers have leased to bridged containers. */
  leases: boolean;
  /** The kernel may differ from what we wrote. */
  resync: boolean;
  /** Somebody deleted a table of ours. */
  deleted: boolean;
  /** Host-side veths whose routes the kernel may have dropped. */
  veths: Set<string>;
  /** Addresses of which neighbour proxies went, ours or others'. */
  proxies: Set<string>;
  /** Interfaces whose settings changed; `all` stands for any. */
  sysctls: Set<string>;
  /** Interfaces on which somebody changed what tc holds. */
  traffic: Set<string>;
  /** Somebody took away tables or rules of ours for uplinks. */
  uplinks: boolean;
}

export const nothingDirty = (): DirtyParts => ({
  config: false,
  tree: false,
  running: false,
  configs: new Map(),
  runtimes: new Map(),
  policies: new Set(),
  links: new Set(),
  leases: false,
  resync: false,
  deleted: false,
  veths: new Set(),
  proxies: new Set(),
  sysctls: new Set(),
  traffic: new Set(),
  uplinks: false,
});

export const everythingDirty = (): DirtyParts => ({
  ...nothingDirty(),
  tree: true,
  running: true,
  policies: 'all',
  links: 'all',
  leases: true,
  resync: true,
});

/** Whether nothing is in it but single containers, and what belongs to them. */
export const isOfContainers = ({
  config,
  tree,
  running,
  policies,
  links,
  leases,
  resync,
  uplinks,
}: DirtyParts): boolean =>
  !(config || tree || running || policies === 'all' || links === 'all' || leases || resync || uplinks);

/** What is left without the comparison, and that with all links, by which it goes. */
export const splitComparison = ({ resync, links, ...rest }: DirtyParts): [DirtyParts, DirtyParts] => {
  const none = new Set<string>();
  return [
    { ...rest, resync: false, links: links === 'all' ? none : links },
    { ...nothingDirty(), resync, links: links === 'all' ? links : none },
  ];
};

/** For a pass that failed: what it had taken is to be done again, and more may have come meanwhile. */
export function mergeDirty(a: DirtyParts, b: DirtyParts): DirtyParts {
  return {
    config: a.config || b.config,
    tree: a.tree || b.tree,
    running: a.running || b.running,
    configs: new Map([...a.configs, ...b.configs]),
    runtimes: new Map([...a.runtimes, ...b.runtimes]),
    policies: mergeNames(a.policies, b.policies),
    links: mergeNames(a.links, b.links),
    leases: a.leases || b.leases,
    resync: a.resync || b.resync,
    deleted: a.deleted || b.deleted,
    veths: new Set([...a.veths, ...b.veths]),
    proxies: new Set([...a.proxies, ...b.proxies]),
    sysctls: new Set([...a.sysctls, ...b.sysctls]),
    traffic: new Set([...a.traffic, ...b.traffic]),
    uplinks: a.uplinks || b.uplinks,
  };
}

const mergeNames = (a: 'all' | Set<string>, b: 'all' | Set<string>): 'all' | Set<string> =>
  a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
