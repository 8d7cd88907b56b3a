/** What the service is started with. */
import type { HostConfig } from '../policies/config.ts';
import type { Problem } from '../policies/problem.ts';
import type { Log } from './log.ts';

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
