/** The watchers of a session, in the order in which they start. */
import type { HostConfig } from '../../policies/config.ts';
import { dnsLookup } from '../../watchers/dns-lookup.ts';
import { type DnsNames, watchDnsNames } from '../../watchers/dns-names.ts';
import type { HostEventBus, Watcher } from '../../watchers/events.ts';
import { watchHostBus } from '../../watchers/host-bus.ts';
import { watchIpMonitor } from '../../watchers/ip-monitor.ts';
import { type LeaseFiles, watchLeaseFiles } from '../../watchers/lease-files.ts';
import { type LxcFoldersWatcher, watchLxcFolders } from '../../watchers/lxc-folders.ts';
import { watchLxcMonitor } from '../../watchers/lxc-monitor.ts';
import { watchNeighbourProxies } from '../../watchers/neighbour-proxies.ts';
import { watchNftMonitor } from '../../watchers/nft-monitor.ts';
import { watchPolicyFiles } from '../../watchers/policy-files.ts';
import { type PolledRulesOptions, watchPolledRules } from '../../watchers/polled-rules.ts';
import type { Log } from '../log.ts';
import type { DnsMemory } from '../state/dns-memory.ts';

export interface SessionWatchers {
  readonly all: readonly Watcher[];
  readonly folders: LxcFoldersWatcher;
  readonly dnsNames: DnsNames;
  readonly leaseFiles: LeaseFiles;
}

export interface SessionWatchersOptions {
  readonly config: HostConfig;
  readonly configFile: string;
  readonly policyFolder: string;
  readonly dnsMemory: DnsMemory;
  readonly polledRules?: PolledRulesOptions | undefined;
  readonly log: Log;
}

export function createSessionWatchers(
  bus: HostEventBus,
  { config, configFile, policyFolder, dnsMemory, polledRules, log }: SessionWatchersOptions,
): SessionWatchers {
  const { lxcPaths } = config;
  const folders = watchLxcFolders(bus, { lxcPaths });
  const { servers, keepSeconds, holdSeconds } = config.dns;
  const dnsNames = watchDnsNames(bus, {
    lookUp: dnsLookup(servers === 'system' ? undefined : servers),
    keepMs: keepSeconds * 1000,
    holdMs: holdSeconds * 1000,
    records: dnsMemory.records,
    onRecord: (name, record, before) => dnsMemory.note(name, record, before),
  });
  const leaseFiles = watchLeaseFiles(bus);
  // Monitors first: what changes while the folders are being listed is heard.
  const all = [
    watchIpMonitor(bus),
    watchNeighbourProxies(bus),
    polledRules === undefined ? watchNftMonitor(bus) : watchPolledRules(bus, polledRules),
    watchLxcMonitor(bus, { lxcPaths }),
    folders,
    watchPolicyFiles(bus, { policyFolder, configFile }),
    watchHostBus(bus, { onComplaint: (message) => log('warning', message) }),
    dnsNames,
    leaseFiles,
  ];
  return { all, folders, dnsNames, leaseFiles };
}
