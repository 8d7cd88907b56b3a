/** The service: takes the lock, keeps a session under the present configuration, and leaves the rules when it ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type HostConfig, IPTABLES_GAPS } from '../policies/config.ts';
import type { Problem } from '../policies/problem.ts';
import { ORPHAN_TABLE, OWNED_TABLE } from '../render/ruleset.ts';
import { outliveFailedSpawns } from '../watchers/failed-spawns.ts';
import type { PolledRulesOptions } from '../watchers/polled-rules.ts';
import { openAnnouncer } from './announcer.ts';
import { Applier } from './apply.ts';
import { type BootFormat, nftFormat, xtFormat } from './boot-format.ts';
import { BootRuleset } from './boot-ruleset.ts';
import { type ChosenBackend, chooseBackend, variantOf } from './choose-backend.ts';
import { type ConntrackCleaner, createConntrackCleaner } from './conntrack.ts';
import { openControlSocket } from './control/control-socket.ts';
import { type Controls, createControls } from './control/controls.ts';
import { createFlowCutter } from './cut-flows.ts';
import { createTranslationCutter } from './cut-translations.ts';
import { everythingDirty, nothingDirty } from './dirty.ts';
import { DnsMemory } from './dns-memory.ts';
import { realDisk } from './durable-disk.ts';
import { openIpChannel } from './ip-channel.ts';
import { createXtBackend } from './iptables/xt-backend.ts';
import { readOurRules } from './iptables/xt-tools.ts';
import { LastGood } from './last-good.ts';
import { takeLock } from './lock.ts';
import { type Log, messageOf } from './log.ts';
import { openMetrics } from './metrics/open-metrics.ts';
import { openNftChannel } from './nft-channel.ts';
import { createNftBackend } from './nftables/nft-backend.ts';
import { openOutside } from './outside.ts';
import { endSealedFlows } from './panic/end-flows.ts';
import { Panic } from './panic/panic.ts';
import { viewPanic } from './panic/panic-state.ts';
import { PanicTable, type SealTable } from './panic/panic-table.ts';
import { createXtSealTable } from './panic/xt-seal-table.ts';
import { AddressClaims } from './probe/address-claims.ts';
import { readTaken, writeTaken } from './probe/taken-file.ts';
import { Reconciler } from './reconcile.ts';
import { createRefusalCleaner } from './refusal-counters.ts';
import { type Report, Reporter } from './report.ts';
import { hostClock } from './revisions/due.ts';
import { createFollowedKeeper, type FollowedKeeper } from './revisions/keep-followed.ts';
import { Revisions } from './revisions/revisions.ts';
import { run, startResident, streamLines } from './run.ts';
import { openServiceManager, type ServiceManager } from './service-manager.ts';
import { ServingBackend } from './serving-backend.ts';
import { Session } from './session.ts';
import { openSysctlMemory } from './sysctl-memory.ts';
import { canOwnTables } from './table-ownership.ts';
import { trackedFlows } from './tracked-flows.ts';
import { TrafficControl } from './traffic/traffic-control.ts';
import { openTrafficMemory } from './traffic/traffic-memory.ts';

export interface DaemonOptions {
  /** Reads the main configuration; `undefined` where it has errors, which it has logged. */
  readonly readConfig: () => Promise<HostConfig | undefined>;
  /** What is wrong with it now, without logging it. */
  readonly configProblems: () => Promise<readonly Problem[]>;
  readonly configFile: string;
  /** Holds containers/, profiles/, sets/ and services.yaml. */
  readonly policyFolder: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  /** Reconcile once and leave. */
  readonly once: boolean;
  readonly log: Log;
}

/** @returns the exit status once SIGTERM or SIGINT has come, or after the one pass. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  outliveFailedSpawns();
  const { runDirectory } = options;
  const config = await options.readConfig();
  if (config === undefined) return 1;
  const lock = await takeLock();
  await mkdir(runDirectory, { recursive: true });
  const parts = await openParts(options, config);
  try {
    return options.once ? await reconcileOnce(options, config, parts) : await serve(options, config, parts);
  } finally {
    parts.close();
    lock.release();
  }
}

/** What outlives a change of the configuration. */
interface Parts {
  readonly applier: Applier;
  readonly lastGood: LastGood;
  readonly dnsMemory: DnsMemory;
  readonly conntrack: ConntrackCleaner;
  readonly reporter: Reporter;
  readonly isOurProcess: (pid: number) => boolean;
  /** From the next session on. @throws Error with what is missing for it; the present one serves on then. */
  readonly useBackend: (wanted: HostConfig['backend']) => Promise<void>;
  readonly polledRules: () => PolledRulesOptions | undefined;
  readonly serviceManager: ServiceManager;
  readonly bootRuleset: BootRuleset;
  readonly revisions: Revisions;
  readonly keeper: FollowedKeeper;
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

async function openParts(options: DaemonOptions, config: HostConfig): Promise<Parts> {
  const { runDirectory, stateDirectory, log } = options;
  const serves = { config: options.configFile, policies: options.policyFolder };
  const lastGood = new LastGood(stateDirectory);
  await lastGood.open();
  const dnsMemory = new DnsMemory(stateDirectory, log);
  await dnsMemory.open(config.dns.keepSeconds);
  const chosen = await chooseBackend(run, config.backend);
  if (chosen !== 'nftables') log('warning', `${chosen}: ${IPTABLES_GAPS}`);
  const ownsTables = chosen === 'nftables' && (await canOwnTables(run));
  if (ownsTables) log('info', 'the tables are owned: no other program can change or flush them while the daemon runs');
  const onNftLost: (() => void)[] = [];
  const nft = openNftChannel(startResident, runDirectory, () => {
    for (const listener of onNftLost) listener();
  });
  const formatOf = (backend: ChosenBackend): BootFormat => {
    const variant = variantOf(backend);
    return variant === undefined ? nftFormat(ownsTables ? ORPHAN_TABLE : []) : xtFormat(variant);
  };
  const bootRuleset = new BootRuleset(stateDirectory, log, formatOf(chosen));
  const due = { act: (): void => undefined };
  const revisions = new Revisions({
    ...{ folder: join(stateDirectory, 'revisions'), disk: realDisk, clock: hostClock, log },
    beforeUnconfirmed: () => bootRuleset.flush(),
    onDue: () => due.act(),
  });
  await revisions.open();
  const flows = trackedFlows(run, streamLines);
  const sealTableOf = (served: ChosenBackend): SealTable => {
    const variant = variantOf(served);
    const flags = ownsTables ? OWNED_TABLE : [];
    return variant === undefined
      ? new PanicTable({ ...{ run, commit: nft.commit, flags, pid: () => nft.pid } })
      : createXtSealTable(run, variant);
  };
  let sealTable = sealTableOf(chosen);
  const panic = new Panic({
    ...{ stateDirectory, disk: realDisk, log },
    table: { hold: (seal) => sealTable.hold(seal), verify: (seal) => sealTable.verify(seal) },
    keepForBoot: (commands) => bootRuleset.keepPanic(commands),
    renderForBoot: (seal) => formatOf(backend.chosen).seal(seal),
    onSealed: () => {
      if (applier.enforced === undefined) return;
      endSealedFlows(flows, applier.enforced, () => panic.state).then(
        (count) => log('info', `panic: ${count} connections of sealed containers are forgotten`, { EVENT: 'cut' }),
        (cause: unknown) => log('error', `panic: connections of sealed containers: ${messageOf(cause)}`),
      );
    },
  });
  await panic.open();
  const ip = openIpChannel(startResident);
  const announcer = openAnnouncer(startResident, (message) => log('warning', message));
  const rememberSysctls = openSysctlMemory(runDirectory);
  const backend = new ServingBackend({
    ...{ stateDirectory, log },
    create: (served) => {
      const variant = variantOf(served);
      return variant === undefined ? createNftBackend({ nft, run, ownsTables }) : createXtBackend(run, variant);
    },
  });
  await backend.use(chosen);
  const news = { act: (): void => undefined };
  const claims = new AddressClaims(
    { stream: streamLines, log, onNews: () => news.act(), keep: (taken) => writeTaken(runDirectory, taken) },
    readTaken(runDirectory),
  );
  const applier = new Applier({ backend, ip, announcer, claims, run, log, rememberSysctls });
  const conntrack = createConntrackCleaner(
    flows,
    log,
    ({ key, prefix }) => applier.enforced?.nics.get(key)?.owned.includes(prefix) === true,
  );
  const cutter = createFlowCutter(flows, log);
  const translations = createTranslationCutter(flows, log);
  const refusals = createRefusalCleaner(run, nft, log, (veth) =>
    [...(applier.enforced?.nics.values() ?? [])].some(({ hostVeth }) => hostVeth === veth),
  );
  const ours = new Set<number>();
  const serviceManager = openServiceManager(process.env, startResident, log);
  const listeners: ((report: Report) => void)[] = [];
  const onReport = (report: Report): void => {
    for (const listener of listeners) listener(report);
  };
  const keeper = createFollowedKeeper(revisions, run, log);
  listeners.push((report) => keeper.observe(report));
  const parts: Parts = {
    ...{ serviceManager, bootRuleset, listeners, onNftLost, applier, lastGood, dnsMemory, revisions, keeper, panic },
    ...{ due, claims, news },
    traffic: new TrafficControl(run, openTrafficMemory(runDirectory)),
    conntrack,
    reporter: new Reporter({
      ...{ log, run, conntrack, cutter, translations, refusals, runDirectory, serves, onReport, dnsMemory },
      revision: () => revisions.view,
      panic: () => viewPanic(panic.state),
    }),
    useBackend: async (wanted) => {
      // What served until now can do so: a question that fails at a bad moment must not change it.
      if (wanted === 'auto' && backend.chosen === 'nftables') return;
      const next = await chooseBackend(run, wanted);
      if (next === backend.chosen) return;
      if (next !== 'nftables') log('warning', `${next}: ${IPTABLES_GAPS}`);
      await backend.use(next);
      sealTable = sealTableOf(next);
      bootRuleset.use(formatOf(next));
    },
    polledRules: () => {
      const variant = variantOf(backend.chosen);
      return variant === undefined ? undefined : { ask: () => readOurRules(run, variant) };
    },
    isOurProcess: (pid) => {
      // A channel's child may be replaced while its last commit is still being told.
      if (nft.pid !== undefined) ours.add(nft.pid);
      return ours.has(pid);
    },
    close: () => {
      for (const part of [nft, ip, announcer, claims, serviceManager, revisions]) part.stop();
    },
  };
  return parts;
}

async function reconcileOnce(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const reconciler = new Reconciler({
    ...options,
    ...parts,
    config,
    run,
    answers: () => parts.dnsMemory.answers,
    onConfigRead: () => undefined,
  });
  const begin = performance.now();
  parts.claims.switch(config.probe);
  // Answers may come during a pass.
  let isNew = false;
  let wake = (): void => undefined;
  parts.news.act = () => {
    isNew = true;
    wake();
  };
  let outcome = await reconciler.reconcile(everythingDirty());
  while (isNew || parts.claims.isAsking) {
    if (!isNew)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    isNew = false;
    outcome = await reconciler.reconcile(nothingDirty());
  }
  parts.reporter.report(outcome, reconciler.reader, performance.now() - begin);
  if (!outcome.choice.isUnconfirmed) parts.bootRuleset.keep(outcome.applied.enforced);
  await parts.keeper.flush();
  await parts.bootRuleset.flush();
  await parts.reporter.settle();
  return parts.reporter.hasErrors ? 1 : 0;
}

async function serve(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const { log } = options;
  let session: Session | undefined;
  let present = config;
  // One change of session at a time, in the order in which they are asked for.
  let changing: Promise<void> = Promise.resolve();
  const controls: Controls = createControls({
    ...{ ...options, ...parts, run },
    session: () => session,
    onPanic: () => parts.reporter.refresh(),
  });
  const outside = openOutside({ ...options, controls }, parts, () => session);
  const socket = await openControlSocket(options.runDirectory, controls, log);
  parts.news.act = parts.due.act = () => void session?.passAgain().catch(() => undefined);
  const metrics = openMetrics(run, log, () => parts.panic.state);
  // What it owned is anyone's until it is taken over again.
  parts.onNftLost.push(() => session?.requestResync());
  parts.listeners.push((report) => metrics.observe(report));

  async function replaceSession(next: HostConfig): Promise<void> {
    await session?.stop();
    await parts.useBackend(next.backend).catch((cause: unknown) => log('error', messageOf(cause)));
    parts.applier.distrust();
    present = next;
    await metrics.configure(next.metrics);
    parts.claims.switch(next.probe);
    const fresh: Session = new Session({
      ...options,
      ...parts,
      config: next,
      run,
      polledRules: parts.polledRules(),
      onOutcome: (outcome, ms) => parts.reporter.report(outcome, fresh.reconciler.reader, ms, fresh.sources),
      onFailure: () => metrics.observeFailure(),
      onConfigChanged: reload,
      onShutdown: (begins) => {
        outside.shutdown(begins);
        void parts.keeper.flush();
      },
    });
    session = fresh;
    await fresh.start();
  }

  function reload(): void {
    const change = async (): Promise<void> => {
      const next = await options.readConfig().catch((cause: unknown) => {
        log('error', messageOf(cause));
        return undefined;
      });
      // A broken configuration changes nothing, the one in force stays; and the watcher tells of an unchanged file too,
      // each time it begins, which must not replace the session that it belongs to.
      if (next === undefined || isDeepStrictEqual(next, present)) session?.requestEverything();
      else await replaceSession(next);
    };
    // A change that failed must not keep the next one from being tried.
    changing = changing.then(change).catch((cause: unknown) => log('error', `configuration: ${messageOf(cause)}`));
  }

  await replaceSession(config);
  const signal = await untilSignal(() => {
    log('info', 'SIGHUP: reading everything again');
    outside.reloading();
    session?.askNames();
    reload();
  });
  parts.serviceManager.stopping();
  await changing;
  outside.stop();
  await socket.stop();
  await session?.stop();
  await parts.keeper.flush();
  await parts.dnsMemory.save();
  await metrics.stop();
  await parts.bootRuleset.flush();
  await parts.reporter.settle();
  log('info', `${signal}: stopped; the rules stay in force, and containers started from now on stay shut`);
  return 0;
}

function untilSignal(onHangup: () => void): Promise<NodeJS.Signals> {
  process.on('SIGHUP', onHangup);
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
