/** The service: takes the lock, keeps a session under the present configuration, and leaves the rules when it ends. */
import { mkdir } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import type { HostConfig, ParsedConfig } from '../policies/config.ts';
import { countListed } from '../policies/load-policies.ts';
import { formatProblem, isError, type Problem } from '../policies/problem.ts';
import { outliveFailedSpawns } from '../watchers/failed-spawns.ts';
import { run } from './commands/run.ts';
import { openControlSocket } from './control/control-socket.ts';
import { type Controls, createControls } from './control/controls.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { createHeap } from './heap.ts';
import { takeLock } from './lock.ts';
import { messageOf } from './log.ts';
import { openMetrics } from './metrics/open-metrics.ts';
import { openOutside } from './outside.ts';
import { openParts, type Parts } from './parts.ts';
import { everythingDirty, nothingDirty } from './pass/dirty.ts';
import { Reconciler } from './pass/reconcile.ts';
import { Session } from './session/session.ts';

const END_MS = 1_000;

/** @returns the exit status once SIGTERM or SIGINT has come, or after the one pass. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  outliveFailedSpawns();
  const { runDirectory } = options;
  const { config, problems } = await options.readConfig();
  for (const problem of problems) options.log(problem.severity, formatProblem(problem));
  if (config === undefined) return 1;
  const lock = await takeLock();
  await mkdir(runDirectory, { recursive: true });
  const parts = await openParts(options, config).catch((cause: unknown) => {
    // What it has begun would keep the process alive, which systemd then wouldn't start anew. Until the end the error is told.
    setTimeout(() => process.exit(), END_MS).unref();
    throw cause;
  });
  try {
    return options.once ? await reconcileOnce(options, config, parts) : await serve(options, config, parts);
  } finally {
    parts.close();
    lock.release();
  }
}

async function reconcileOnce(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const reconciler = new Reconciler({
    ...options,
    ...parts,
    config,
    backend: parts.servingBackend(),
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
  await parts.lastGood.idle();
  await parts.reporter.settle();
  return parts.reporter.hasErrors ? 1 : 0;
}

async function serve(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const { log } = options;
  const heap = createHeap(setFlagsFromString);
  let session: Session | undefined;
  let present = config;
  /** Of its file as it was last read. */
  let configProblems: readonly Problem[] = [];
  let isConfigRefused = false;
  // One change of session at a time, in the order in which they are asked for.
  let changing: Promise<void> = Promise.resolve();
  let isReady = false;
  const controls: Controls = createControls({
    ...{ ...options, ...parts, run },
    session: () => session,
    isReady: () => isReady,
    onRefused: (container, reason) => outside.refused(container, reason),
    onPanic: () => parts.reporter.refresh(),
  });
  const outside = openOutside({ ...options, controls }, parts, () => session);
  const socket = await openControlSocket(options.runDirectory, controls, log);
  parts.news.act = parts.due.act = () => void session?.passAgain().catch(() => undefined);
  const metrics = openMetrics(run, log, {
    panic: () => parts.panic.state,
    countsRefusals: () => parts.servingBackend() === 'nftables',
  });
  // Anyone can change what it owned until that is taken over again.
  parts.onNftLost.push(() => session?.requestResync());
  parts.listeners.push((report) => {
    const { outcome, reader } = report;
    heap.settle({ nics: outcome.applied.enforced.nics.size, addresses: countListed(reader.loaded) });
    isReady = true;
    metrics.observe(report);
  });

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
      configProblems: () => configProblems,
      isConfigRefused: () => isConfigRefused,
      run,
      read: parts.forks.run,
      backend: parts.servingBackend(),
      polledRules: parts.polledRules(),
      onOutcome: (outcome, ms) => parts.reporter.report(outcome, fresh.reconciler.reader, ms, fresh),
      onSame: (ms) => parts.reporter.reportSame(ms),
      onFailure: () => {
        metrics.observeFailure();
        parts.reporter.noteFailure();
      },
      onUnread: () => metrics.observeUnread(),
      onSources: () => parts.reporter.refresh(),
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
      const { config: next, problems, isRefused = false } = await readAnew(options);
      isConfigRefused = isRefused;
      configProblems = problems.filter(isError);
      for (const problem of problems) if (!isError(problem)) log(problem.severity, formatProblem(problem));
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
  await parts.lastGood.idle();
  await parts.reporter.settle();
  log('info', `${signal}: stopped; the rules stay in force, and containers started from now on stay shut`);
  return 0;
}

/** What went wrong with the file itself is a problem of it, too. */
async function readAnew({ readConfig, configFile }: DaemonOptions): Promise<ParsedConfig> {
  return await readConfig().catch((cause: unknown) => {
    const problem: Problem = { file: configFile, line: 1, column: 1, message: messageOf(cause), severity: 'error' };
    return { config: undefined, problems: [problem] };
  });
}

function untilSignal(onHangup: () => void): Promise<NodeJS.Signals> {
  process.on('SIGHUP', onHangup);
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
