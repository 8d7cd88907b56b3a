/** The session under the present configuration, and another in its place where that changes. */
import { isDeepStrictEqual } from 'node:util';
import type { HostConfig, ParsedConfig } from '../policies/config.ts';
import { formatProblem, isError, type Problem } from '../policies/problem.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { messageOf } from './log.ts';
import type { DaemonMetrics } from './metrics/open-metrics.ts';
import type { Parts } from './parts.ts';
import { Session } from './session/session.ts';

export interface SessionsOptions extends DaemonOptions {
  readonly parts: Parts;
  readonly metrics: DaemonMetrics;
  /** The host is about to go down, or won't after all. */
  readonly onShutdown: (begins: boolean) => void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  #present: HostConfig;
  #current: Session | undefined;
  /** Of the configuration's file as it was last read. */
  #problems: readonly Problem[] = [];
  #isRefused = false;
  // One change of session at a time, in the order in which they are asked for.
  #changing: Promise<void> = Promise.resolve();

  constructor(options: SessionsOptions, config: HostConfig) {
    this.#options = options;
    this.#present = config;
  }

  /** `undefined` before the first. */
  get current(): Session | undefined {
    return this.#current;
  }

  /** Begins the first one. */
  start(): Promise<void> {
    return this.#replace(this.#present);
  }

  /** Reads the configuration again, and everything else. */
  reload(): void {
    // A change that failed must not keep the next one from being tried.
    this.#changing = this.#changing
      .then(() => this.#change())
      .catch((cause: unknown) => this.#options.log('error', `configuration: ${messageOf(cause)}`));
  }

  /** Once all changes that were asked for are made. */
  idle(): Promise<void> {
    return this.#changing;
  }

  async stop(): Promise<void> {
    await this.#current?.stop();
  }

  async #change(): Promise<void> {
    const { config: next, problems, isRefused = false } = await readAnew(this.#options);
    this.#isRefused = isRefused;
    this.#problems = problems.filter(isError);
    for (const problem of problems) if (!isError(problem)) this.#options.log(problem.severity, formatProblem(problem));
    // A broken configuration changes nothing, the one in force stays; and the watcher tells of an unchanged file too,
    // each time it begins, which must not replace the session that it belongs to.
    if (next === undefined || isDeepStrictEqual(next, this.#present)) this.#current?.requestEverything();
    else await this.#replace(next);
  }

  async #replace(next: HostConfig): Promise<void> {
    const { parts, metrics, log } = this.#options;
    await this.#current?.stop();
    await parts.useBackend(next.backend).catch((cause: unknown) => log('error', messageOf(cause)));
    parts.applier.distrust();
    this.#present = next;
    await metrics.configure(next.metrics);
    parts.claims.switch(next.probe);
    this.#current = this.#create(next);
    await this.#current.start();
  }

  #create(config: HostConfig): Session {
    const { parts, metrics, ...options } = this.#options;
    const { reporter } = parts;
    const session: Session = new Session({
      ...options,
      ...parts,
      config,
      configProblems: () => this.#problems,
      isConfigRefused: () => this.#isRefused,
      run: parts.forks.run,
      backend: parts.servingBackend(),
      polledRules: parts.polledRules(),
      onOutcome: (outcome, ms) => reporter.report(outcome, session.reconciler.reader, ms, session),
      onSame: (ms) => reporter.reportSame(ms),
      onFailure: () => {
        metrics.observeFailure();
        reporter.noteFailure();
      },
      onUnread: () => metrics.observeUnread(),
      onStanding: () => reporter.refresh(),
      onConfigChanged: () => this.reload(),
    });
    return session;
  }
}

/** What went wrong with the file itself is a problem of it, too. */
async function readAnew({ readConfig, configFile }: DaemonOptions): Promise<ParsedConfig> {
  return await readConfig().catch((cause: unknown) => {
    const problem: Problem = { file: configFile, line: 1, column: 1, message: messageOf(cause), severity: 'error' };
    return { config: undefined, problems: [problem] };
  });
}
