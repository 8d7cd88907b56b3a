/** What a session follows by what its last pass came to: ends of rules and leases, names, tc, fresh proxies, a missing folder. */
import type { HostEventBus } from '../../watchers/events.ts';
import { watchTcMonitor } from '../../watchers/tc-monitor.ts';
import { createFreshProxies } from '../apply/fresh-proxies.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import type { Outcome } from '../pass/outcome.ts';
import type { Reconciler } from '../pass/reconcile.ts';
import type { Revisions } from '../revisions/revisions.ts';
import type { Timers } from '../timers.ts';
import type { TrafficControl } from '../traffic/traffic-control.ts';
import { createEndClock } from './end-clock.ts';
import type { SessionWatchers } from './session-watchers.ts';
import type { Sources } from './sources.ts';

export interface SessionFollowers {
  /** Takes the place of all that followed from earlier passes. */
  follow(outcome: Outcome): Promise<void>;
  stop(): Promise<void>;
}

export interface FollowersOptions {
  readonly bus: HostEventBus;
  readonly watchers: SessionWatchers;
  readonly sources: Sources;
  readonly timers: Timers;
  readonly reader: Reconciler['reader'];
  readonly revisions: Revisions;
  readonly traffic: TrafficControl;
  /** Asks for a pass, and gives what it is to read again. */
  readonly mark: () => DirtyParts;
}

/** How often a folder of policies that is away is looked for. */
const FOLDER_MS = 1_000;

export function createSessionFollowers(options: FollowersOptions): SessionFollowers {
  const { bus, watchers, sources, timers, reader, revisions, traffic, mark } = options;
  const endClock = createEndClock(mark);
  const leaseClock = createEndClock(mark);
  const freshProxies = createFreshProxies((addresses) => {
    const { proxies } = mark();
    for (const address of addresses) proxies.add(address);
  });
  // Runs while there are limits or wires.
  const tcMonitor = watchTcMonitor(bus);
  let isFolderLookedFor = false;

  async function watchTraffic(): Promise<void> {
    const isWatched = sources.states.has('tc-monitor');
    if (traffic.isUsed === isWatched) return;
    if (isWatched) {
      sources.leave('tc-monitor');
      await tcMonitor.stop();
    } else {
      sources.expect('tc-monitor');
      await tcMonitor.start();
    }
  }

  /** It may have been away for less than its watcher takes: no event would tell that it is back. */
  function lookForFolder(): void {
    if (isFolderLookedFor || revisions.view.reason !== 'missing') return;
    isFolderLookedFor = true;
    timers.after(FOLDER_MS, () => {
      isFolderLookedFor = false;
      mark().policies = 'all';
    });
  }

  return {
    follow: async ({ assembled, applied, before }) => {
      endClock.watch(assembled.ends, assembled.chosenAt);
      watchers.dnsNames.setNames(assembled.names);
      await watchTraffic();
      freshProxies.note(before, applied.enforced);
      watchers.leaseFiles.setFiles(reader.leaseFiles);
      lookForFolder();
      leaseClock.watch(reader.leaseEnds, assembled.chosenAt);
    },
    stop: async () => {
      endClock.stop();
      leaseClock.stop();
      freshProxies.stop();
      await tcMonitor.stop();
    },
  };
}
