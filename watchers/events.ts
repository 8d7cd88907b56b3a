/** What happens on the host, as facts that say "read it again"; nothing in an event is to be believed as state. */
import { createNanoEvents, type Emitter } from 'nanoevents';

export type Source =
  | 'lxc-config'
  | 'lxc-monitor'
  | 'ip-monitor'
  | 'neighbour-proxies'
  | 'nft-monitor'
  | 'tc-monitor'
  | 'iptables-rules'
  | 'policy-files'
  | 'host-bus'
  | 'leases';

/** As lxc-monitor prints them. */
export type ContainerState =
  | 'STARTING'
  | 'RUNNING'
  | 'STOPPING'
  | 'STOPPED'
  | 'ABORTING'
  | 'FREEZING'
  | 'FROZEN'
  | 'THAWED';

export interface HostEvents {
  /** A container's configuration, or a file that it includes, appeared, changed or went. */
  containerConfigChanged(event: { readonly lxcPath: string; readonly name: string }): void;
  /** lxc-monitor's line, whole; or, with `exited`, its line about the exit of init. */
  containerStateChanged(event: {
    readonly lxcPath: string;
    readonly name: string;
    readonly state: ContainerState | 'EXITED';
  }): void;
  /** A link appeared, changed or went. */
  linkChanged(event: { readonly name: string; readonly deleted: boolean }): void;
  /** An address of this host appeared or went. */
  addressChanged(event: { readonly dev: string; readonly deleted: boolean }): void;
  /** A route appeared or went; `protocol` as ip prints it, empty where it doesn't. */
  routeChanged(event: {
    readonly dev: string;
    readonly protocol: string;
    /** As ip prints it, empty for main. */
    readonly table: string;
    readonly isDefault: boolean;
    readonly deleted: boolean;
  }): void;
  /** A rule of policy routing appeared or went. */
  ruleChanged(event: { readonly protocol: string; readonly deleted: boolean }): void;
  /** A neighbour proxy for that address went, whoever took it away; told again while it is missing, for some seconds. */
  proxyLost(event: { readonly address: string }): void;
  /**
   * A setting below /proc/sys/net/ipv4|ipv6/conf/DEV changed; `dev` may be `all` or `default`. `values`: those that were told,
   * by key as `net/ipv4/conf/eth0/forwarding`; not all that change are.
   */
  sysctlChanged(event: { readonly dev: string; readonly values: ReadonlyMap<string, string> }): void;
  /**
   * Someone committed to nftables in this network namespace; `pid` is 0 where the kernel didn't say who.
   * `touchesOurs`: the commit changed one of the tables named `routewall`; `deletesOurs`: it took one of them away.
   */
  rulesetCommitted(event: {
    readonly generation: number;
    readonly pid: number;
    readonly process: string;
    readonly touchesOurs: boolean;
    readonly deletesOurs: boolean;
  }): void;
  /** Somebody, maybe we, changed a queueing discipline or a filter of the interface. */
  trafficChanged(event: { readonly dev: string }): void;
  /** A policy, profile, set, service or main configuration file appeared, changed or went; an absolute path. */
  policyFileChanged(event: { readonly file: string }): void;
  /** A DHCP server has leased an address, or taken one back. */
  leasesChanged(event: Readonly<Record<never, never>>): void;
  /** A name that is followed stands for other addresses than before. */
  dnsAnswerChanged(event: { readonly name: string }): void;
  /** Another firewall program says that it has written its rules anew. */
  firewallReloaded(event: { readonly by: string }): void;
  /** systemd started, stopped or lost a container's service; `unit` as `lxc@web.service`. */
  containerUnitChanged(event: { readonly unit: string }): void;
  /** The host is about to shut down or reboot, or won't after all. */
  shutdownPrepared(event: { readonly begins: boolean }): void;
  /** The source has told all that existed when it started; told again after every restart of the source. */
  synced(event: { readonly source: Source }): void;
  /** The source died; it tries again by itself where `retryInMs` is a number, and what it told may be old. */
  watcherFailed(event: { readonly source: Source; readonly cause: Error; readonly retryInMs: number | null }): void;
}

export type HostEventBus = Emitter<HostEvents>;

/** A listener that throws stops the later ones (nanoevents), so listeners only mark what is dirty. */
export const createHostEventBus = (): HostEventBus => createNanoEvents<HostEvents>();

/** Every watcher: the constructor or factory does nothing, `start` begins, `stop` ends and may be called twice. */
export interface Watcher {
  start(): Promise<void>;
  stop(): Promise<void>;
}
