/** Offers metrics where the configuration or node_exporter's folder asks for them; loads nothing of it otherwise. */
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostConfig } from '../../policies/config.ts';
import type { Run } from '../commands/run.ts';
import { type Log, messageOf } from '../log.ts';
import { NO_PANIC } from '../panic/panic-state.ts';
import type { Report } from '../status/report.ts';
import type { Exporter, MetricsFacts } from './exporter.ts';
import type { Listener } from './listener.ts';
import type { TextfileWriter } from './textfile.ts';

export interface DaemonMetrics {
  /** Callable again with another configuration. A place that can't be had is logged, and the daemon goes on without. */
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
    if (hasFile) {
      const { openTextfile } = await import('./textfile.ts');
      textfile = openTextfile({ path: file.path, render, log });
    }
    if (config.listen !== undefined) {
      const { openListener } = await import('./listener.ts');
      listener = await openListener({ address: config.listen, contentType, render, log });
    }
  }

  return {
    configure: async (config) => {
      const wanted = JSON.stringify(config);
      if (wanted === present) return;
      present = wanted;
      try {
        await stop();
        await open(config);
      } catch (cause) {
        log('error', `metrics: ${messageOf(cause)}`);
      }
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
    stop,
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
