/** What the service is started with. */
import type { ParsedConfig } from '../policies/config.ts';
import type { Log } from './log.ts';

export interface DaemonOptions {
  readonly readConfig: () => Promise<ParsedConfig>;
  readonly configFile: string;
  /** Holds containers/, profiles/, sets/ and services.yaml. */
  readonly policyFolder: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  /** Reconcile once and leave. */
  readonly once: boolean;
  readonly log: Log;
}
