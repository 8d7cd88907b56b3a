/** What the service holds from its start to its end, whatever becomes of the configuration. */
import { join } from 'node:path';
import { type HostConfig, IPTABLES_GAPS } from '../policies/config.ts';
import type { PolledRulesOptions } from '../watchers/polled-rules.ts';
import { openAnnouncer } from './apply/announcer.ts';
import { Applier } from './apply/apply.ts';
import type { BackendName } from './apply/backend.ts';
import { chooseBackend } from './apply/choose-backend.ts';
import { ServingBackend } from './apply/serving-backend.ts';
import { openSysctlMemory } from './apply/sysctl-memory.ts';
import { canOwnTables } from './apply/table-ownership.ts';
import { backendKinds } from './backend-kinds.ts';
import { createCleaners } from './cleaners.ts';
import { type ForkServer, openForkServer } from './commands/fork-server.ts';
import { openIpChannel } from './commands/ip-channel.ts';
import { openNftChannel } from './commands/nft-channel.ts';
import { run, startResident, startTalker, streamLines } from './commands/run.ts';
import type { ConntrackCleaner } from './connections/conntrack.ts';
import type { FlowCutter } from './connections/cut-flows.ts';
import type { PretendedFlowCutter } from './connections/pretended-flows.ts';
import { trackedFlows } from './connections/tracked-flows.ts';
import { openWatchedFlows } from './connections/watched-flows.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { linkExists } from './host/container-runtime.ts';
import { openKernelMarks } from './kernel/kernel-marks.ts';
import { openPanic } from './panic/open-panic.ts';
import type { Panic } from './panic/panic.ts';
import { viewPanic } from './panic/panic-state.ts';
import { AddressClaims } from './probe/address-claims.ts';
import { readTaken, writeTaken } from './probe/taken-file.ts';
import { hostClock } from './revisions/due.ts';
import { createFollowedKeeper, type FollowedKeeper } from './revisions/keep-followed.ts';
import { Revisions } from './revisions/revisions.ts';
import { openServiceManager, type ServiceManager } from './service-manager.ts';
import { BootRuleset } from './state/boot-ruleset.ts';
import { DnsMemory } from './state/dns-memory.ts';
import { realDisk } from './state/durable-disk.ts';
import { LastGood } from './state/last-good.ts';
import { type Report, Reporter } from './status/report.ts';
import { TrafficControl } from './traffic/traffic-control.ts';
import { openTrafficMemory } from './traffic/traffic-memory.ts';

export interface Parts {
  readonly forks: ForkServer;
  readonly applier: Applier;
  readonly lastGood: LastGood;
  readonly dnsMemory: DnsMemory;
  readonly conntrack: ConntrackCleaner;
  readonly cutter: FlowCutter;
  readonly pretended: PretendedFlowCutter;
  readonly reporter: Reporter;
  readonly isOurProcess: (pid: number) => boolean;
  /** From the next session on. @throws Error with what is missing for it; the present one serves on then. */
  readonly useBackend: (wanted: HostConfig['backend']) => Promise<void>;
  readonly servingBackend: () => BackendName;
  readonly polledRules: () => PolledRulesOptions | undefined;
  readonly serviceManager: ServiceManager;
  readonly bootRuleset: BootRuleset;
  readonly revisions: Revisions;
  readonly keeper: FollowedKeeper;
  /** Whether the disk refused something of what is to be kept, which a pass tries again. */
  readonly diskRefuses: () => boolean;
  readonly panic: Panic;
  readonly traffic: TrafficControl;
  readonly claims: AddressClaims;
  /** What calls for a pass without an event: before there is a session, its first pass sees to it. */
  readonly news: { act: () => void };
  /** Has the time for a confirmation passed, this is called; before there is a session, its first pass sees to it. */
  readonly due: { act: () => void };
  /** Who is told of each pass. */
  readonly listeners: ((report: Report) => void)[];
  /** Who is told that the process went that may own our tables. */
  readonly onNftLost: (() => void)[];
  close(): void;
}

export async function openParts(options: DaemonOptions, config: HostConfig): Promise<Parts> {
  const { runDirectory, stateDirectory, log } = options;
  // While the daemon is small: these are forks of it.
  const forks = openForkServer(startTalker, { run, stream: streamLines });
  const watched = openWatchedFlows(startTalker);
  const serves = { config: options.configFile, policies: options.policyFolder };
  const lastGood = new LastGood(stateDirectory);
  await lastGood.open();
  const dnsMemory = new DnsMemory(stateDirectory, log);
  await dnsMemory.open(config.dns.keepSeconds);
  const chosen = await chooseBackend(forks.run, config.backend);
  if (chosen !== 'nftables') log('warning', `${chosen}: ${IPTABLES_GAPS}`);
  const ownsTables = chosen === 'nftables' && (await canOwnTables(forks.run));
  if (ownsTables) log('info', 'the tables are owned: no other program can change or flush them while the daemon runs');
  const onNftLost: (() => void)[] = [];
  const nft = openNftChannel(startResident, runDirectory, () => {
    // The tables that it owned have no owner now, which the kernel's generation doesn't tell.
    applier.proof.forget();
    for (const listener of onNftLost) listener();
  });
  const kindOf = backendKinds({ run, read: forks.run, nft, ownsTables });
  const bootRuleset = new BootRuleset(stateDirectory, log, kindOf(chosen).bootFormat);
  const due = { act: (): void => undefined };
  const revisions = new Revisions({
    ...{ folder: join(stateDirectory, 'revisions'), disk: realDisk, clock: hostClock, log },
    beforeUnconfirmed: () => bootRuleset.flush(),
    onDue: () => due.act(),
  });
  await revisions.open();
  const flows = trackedFlows(forks.run, streamLines);
  let sealTable = kindOf(chosen).createSealTable();
  const panic = await openPanic({
    ...{ stateDirectory, log, flows, bootRuleset },
    sealTable: () => sealTable,
    bootFormat: () => kindOf(backend.chosen).bootFormat,
    lastEnforced: () => applier.lastEnforced,
  });
  const ip = openIpChannel(startResident, linkExists);
  const marks = openKernelMarks(startResident);
  const announcer = openAnnouncer(startResident, (message) => log('warning', message));
  const rememberSysctls = openSysctlMemory(runDirectory);
  const backend = new ServingBackend({
    ...{ stateDirectory, log },
    create: (served) => kindOf(served).createBackend(),
  });
  await backend.use(chosen);
  const news = { act: (): void => undefined };
  const claims = new AddressClaims(
    { stream: forks.stream, log, onNews: () => news.act(), keep: (taken) => writeTaken(runDirectory, taken) },
    readTaken(runDirectory),
  );
  const applier = new Applier({ backend, ip, marks, announcer, claims, run, read: forks.run, log, rememberSysctls });
  const cleaners = createCleaners({
    ...{ flows, watched, applier, run: forks.run, nft, log },
    countsRefusals: () => backend.chosen === 'nftables',
  });
  const serviceManager = openServiceManager(process.env, startResident, log);
  const listeners: ((report: Report) => void)[] = [];
  const onReport = (report: Report): void => {
    for (const listener of listeners) listener(report);
  };
  const keeper = createFollowedKeeper(revisions, log);
  listeners.push((report) => keeper.observe(report));
  const parts: Parts = {
    ...{ serviceManager, bootRuleset, listeners, onNftLost, applier, lastGood, dnsMemory, revisions, keeper, panic },
    ...{ due, claims, news, forks },
    diskRefuses: () =>
      lastGood.isRefused || bootRuleset.isRefused || keeper.isRefused || revisions.book.isRefused || panic.isRefused,
    traffic: new TrafficControl(run, openTrafficMemory(runDirectory)),
    conntrack: cleaners.conntrack,
    cutter: cleaners.cutter,
    pretended: cleaners.pretended,
    reporter: new Reporter({
      ...{ ...cleaners, log, runDirectory, serves, onReport, dnsMemory },
      revision: () => revisions.view,
      panic: () => viewPanic(panic.state),
    }),
    useBackend: async (wanted) => {
      // What served until now can do so: a question that fails at a bad moment must not change it.
      if (wanted === 'auto' && backend.chosen === 'nftables') return;
      const next = await chooseBackend(forks.run, wanted);
      if (next === backend.chosen) return;
      if (next !== 'nftables') log('warning', `${next}: ${IPTABLES_GAPS}`);
      await backend.use(next);
      sealTable = kindOf(next).createSealTable();
      bootRuleset.use(kindOf(next).bootFormat);
    },
    servingBackend: () => backend.name,
    polledRules: () => kindOf(backend.chosen).polledRules,
    // One that is gone made its last commits before the comparison that its loss calls for; its pid may be another's by now.
    isOurProcess: (pid) => pid === nft.pid,
    close: () => {
      for (const part of [nft, ip, marks, announcer, claims, serviceManager, revisions, watched, forks]) part.stop();
    },
  };
  return parts;
}
