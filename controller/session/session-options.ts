/** What a session takes, and who is told of what it does. */
import type { HostConfig } from '../../policies/config.ts';
import type { Problem } from '../../policies/problem.ts';
import type { PolledRulesOptions } from '../../watchers/polled-rules.ts';
import type { Applier } from '../apply/apply.ts';
import type { BackendName } from '../apply/backend.ts';
import type { Run } from '../commands/run.ts';
import type { ConntrackCleaner } from '../connections/conntrack.ts';
import type { FlowCutter } from '../connections/cut-flows.ts';
import type { PretendedFlowCutter } from '../connections/pretended-flows.ts';
import type { Log } from '../log.ts';
import type { Panic } from '../panic/panic.ts';
import type { Outcome } from '../pass/outcome.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import type { Revisions } from '../revisions/revisions.ts';
import type { DnsMemory } from '../state/dns-memory.ts';
import type { LastGood } from '../state/last-good.ts';
import type { TrafficControl } from '../traffic/traffic-control.ts';

export interface SessionOptions {
  readonly config: HostConfig;
  readonly configFile: string;
  /** See HostReaderOptions. */
  readonly configProblems: () => readonly Problem[];
  /** The kernel refused to have its file read; see `wasRefused`. */
  readonly isConfigRefused: () => boolean;
  readonly policyFolder: string;
  /** The one that serves. */
  readonly backend: BackendName;
  readonly applier: Applier;
  readonly lastGood: LastGood;
  readonly revisions: Revisions;
  readonly dnsMemory: DnsMemory;
  readonly conntrack: ConntrackCleaner;
  readonly cutter: FlowCutter;
  /** Whoever is admitted waits for it; told beforehand who starts. */
  readonly pretended: Pick<PretendedFlowCutter, 'expect' | 'idle'>;
  readonly claims: AddressClaims;
  readonly panic: Panic;
  readonly traffic: TrafficControl;
  /** Whether the disk refused something of what is to be kept, which a pass tries again. */
  readonly diskRefuses: () => boolean;
  /** How rules are asked for where `nft monitor` doesn't tell of them. */
  readonly polledRules?: PolledRulesOptions | undefined;
  /** For what only reads the host. */
  readonly run: Run;
  readonly log: Log;
  /** Whether a commit by this process is our own. */
  readonly isOurProcess: (pid: number) => boolean;
  readonly onOutcome: (outcome: Outcome, tookMs: number) => void;
  /** A resync had nothing to do, and was no pass. */
  readonly onSame: (tookMs: number) => void;
  /** A pass failed, which has been logged, and will be tried again. */
  readonly onFailure: () => void;
  /** Something that a pass can do without couldn't be read, or waited for; it will be read again. */
  readonly onUnread: () => void;
  /** A source of events failed, or is back; or the disk refuses something, or takes it again. */
  readonly onStanding: () => void;
  /** The host is about to go down, or won't after all. */
  readonly onShutdown: (begins: boolean) => void;
  /** The main configuration changed: this session is to be replaced. */
  readonly onConfigChanged: () => void;
}
