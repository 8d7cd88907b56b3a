/** Offers metrics where the configuration or node_exporter's folder asks for them; loads nothing of it otherwise. */
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostConfig } from '../../policies/config.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import type { Run } from '../commands/run.ts';
import { type Log, messageOf } from '../log.ts';
import { NO_PANIC } from '../panic/panic-state.ts';
import type { Report } from '../status/report.ts';
import type { Exporter, MetricsFacts } from './exporter.ts';
import type { Listener } from './listener.ts';
import type { TextfileWriter } from './textfile.ts';

export interface DaemonMetrics {
  /** Callable again with another configuration. A place that can't be had is logged and asked for again; nobody waits for it. */
  configure(config: HostConfig['metrics']): Promise<void>;
  observe(report: Report): void;
  /** A pass failed. */
  observeFailure(): void;
  /** Something was to be read that is read later. */
  observeUnread(): void;
  stop(): Promise<void>;
}

const ORDINARY: MetricsFacts = { panic: () => NO_PANIC, countsRefusals: () => true };

export function openMetrics(run: Run, log: Log, facts = ORDINARY): DaemonMetrics {
  let exporter: Exporter | undefined;
  let textfile: TextfileWriter | undefined;
  let listener: Listener | undefined;
  let present: string | undefined;
  const retryTimes = createRetryTimes();
  let retry: NodeJS.Timeout | undefined;
  let complaint: string | undefined;
  let working: Promise<void> = Promise.resolve();

  async function stop(): Promise<void> {
    await Promise.all([textfile?.stop(), listener?.stop()]);
    textfile = undefined;
    listener = undefined;
  }

  async function open(config: HostConfig['metrics']): Promise<void> {
    const file = config.textfile;
    const hasFile = file !== undefined && (!file.optional || (await exists(dirname(file.path))));
    if (!hasFile && config.listen === undefined) return;
    const { Exporter } = await import('./exporter.ts');
    exporter ??= new Exporter(run, log, facts);
    const { contentType } = exporter;
    const kept = exporter;
    const render = (): Promise<string> => kept.render();
    if (hasFile && textfile === undefined) {
      const { openTextfile } = await import('./textfile.ts');
      textfile = openTextfile({ path: file.path, render, log });
    }
    if (config.listen !== undefined && listener === undefined) {
      const { openListener } = await import('./listener.ts');
      listener = await openListener({ address: config.listen, contentType, render, log });
    }
  }

  /** What is there already stays. */
  async function tryToOpen(config: HostConfig['metrics']): Promise<void> {
    try {
      await open(config);
      if (complaint !== undefined) log('info', 'metrics: offered');
      complaint = undefined;
      retryTimes.reset();
    } catch (cause) {
      const message = messageOf(cause);
      // Who has the place may have it for ever.
      if (message !== complaint) log('error', `metrics: ${message}; trying again`);
      complaint = message;
      retry = setTimeout(() => enqueue(() => tryToOpen(config)), retryTimes.next()).unref();
    }
  }

  function enqueue(work: () => Promise<void>): Promise<void> {
    working = working.then(work);
    return working;
  }

  function end(): Promise<void> {
    return enqueue(async () => {
      clearTimeout(retry);
      await stop().catch((cause: unknown) => log('error', `metrics: ${messageOf(cause)}`));
    });
  }

  return {
    configure: async (config) => {
      const wanted = JSON.stringify(config);
      if (wanted === present) return;
      present = wanted;
      await end();
      await enqueue(() => tryToOpen(config));
    },
    observe: (report) => {
      exporter?.observe(report);
      textfile?.changed();
    },
    observeUnread: () => exporter?.observeUnread(),
    observeFailure: () => {
      exporter?.observeFailure();
      textfile?.changed();
    },
    stop: end,
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
