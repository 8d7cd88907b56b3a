/** The service: takes the lock, keeps a session under the present configuration, and leaves the rules when it ends. */
import { mkdir } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import type { HostConfig } from '../policies/config.ts';
import { countListed } from '../policies/load-policies.ts';
import { formatProblem } from '../policies/problem.ts';
import { outliveFailedSpawns } from '../watchers/failed-spawns.ts';
import { openControlSocket } from './control/control-socket.ts';
import { type Controls, createControls } from './control/controls.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { createHeap } from './heap.ts';
import { takeLock } from './lock.ts';
import { openMetrics } from './metrics/open-metrics.ts';
import { openOutside } from './outside.ts';
import { openParts, type Parts } from './parts.ts';
import { reconcileOnce } from './reconcile-once.ts';
import type { Session } from './session/session.ts';
import { Sessions } from './sessions.ts';

const END_MS = 1_000;

/** @returns the exit status once SIGTERM or SIGINT has come, or after the one pass. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  outliveFailedSpawns();
  const { runDirectory } = options;
  const { config, problems } = await options.readConfig();
  for (const problem of problems) options.log(problem.severity, formatProblem(problem));
  if (config === undefined) return 1;
  const lock = await takeLock(runDirectory, { warn: (message) => options.log('warning', message) });
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

async function serve(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const { log } = options;
  const heap = createHeap(setFlagsFromString);
  let isReady = false;
  const metrics = openMetrics(parts.forks.run, log, {
    panic: () => parts.panic.state,
    countsRefusals: () => parts.servingBackend() === 'nftables',
  });
  const onShutdown = (begins: boolean): void => {
    outside.shutdown(begins);
    void parts.keeper.flush();
  };
  const sessions = new Sessions({ ...options, parts, metrics, onShutdown }, config);
  const session = (): Session | undefined => sessions.current;
  const controls: Controls = createControls({
    ...{ ...options, ...parts, session },
    isReady: () => isReady,
    onRefused: (container, reason) => outside.refused(container, reason),
    onPanic: () => parts.reporter.refresh(),
  });
  const outside = openOutside({ ...options, controls }, parts, session);
  const socket = await openControlSocket(options.runDirectory, controls, log);
  parts.news.act = parts.due.act = () =>
    void session()
      ?.passAgain()
      .catch(() => undefined);
  // Anyone can change what it owned until that is taken over again.
  parts.onNftLost.push(() => session()?.requestResync());
  parts.listeners.push((report) => {
    const { outcome, reader } = report;
    heap.settle({ nics: outcome.applied.enforced.nics.size, addresses: countListed(reader.loaded) });
    isReady = true;
    metrics.observe(report);
  });

  await sessions.start();
  const signal = await untilSignal(() => {
    log('info', 'SIGHUP: reading everything again');
    outside.reloading();
    session()?.askNames();
    sessions.reload();
  });
  parts.serviceManager.stopping();
  await sessions.idle();
  outside.stop();
  await socket.stop();
  await sessions.stop();
  await parts.keeper.flush();
  await parts.dnsMemory.save();
  await metrics.stop();
  await parts.bootRuleset.flush();
  await parts.lastGood.idle();
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
