/** What the daemon says of itself: the shape of `status.json`, and of its answer on the bus. */
import type { Problem } from '../../policies/problem.ts';
import type { Observing } from '../denials/observing.ts';
import type { Unenforced } from '../host/unenforceable-nics.ts';
import type { PanicView } from '../panic/panic-state.ts';
import type { UnreadReading } from '../pass/patience.ts';
import type { PolicyStatus } from '../pass/policy-status.ts';
import type { RevisionView } from '../revisions/revision-view.ts';
import type { WireStatus } from '../traffic/describe-wires.ts';

/** Times are ISO 8601 in UTC. */
export interface StatusFile {
  readonly pid: number;
  /** When the process started, in clock ticks since boot: tells it from a later one with the same pid. */
  readonly started: number;
  /** Since when the daemon serves. */
  readonly since: string;
  /** When a pass last ended with the kernel in the desired state; `null` before the first. */
  readonly enforcedAt: string | null;
  /** nft's, after that pass, where known. */
  readonly generation: number | null;
  /** Which texts of the policy files are in force, and which wait. */
  readonly revision: RevisionView;
  /** Which containers are sealed. */
  readonly panic: PanicView;
  readonly containers: readonly ContainerStatus[];
  /** What was set for containers. */
  readonly sysctls: readonly SysctlStatus[];
  /** What belongs to no container. */
  readonly problems: readonly Problem[];
  /** What others changed and the daemon put back. */
  readonly drift: { readonly count: number; readonly last: string | null };
  readonly watchers: Readonly<Record<string, string>>;
  /** What the daemon goes on without; absent where it reads all that it asks for. */
  readonly unread?: readonly UnreadReading[];
  /** Absolute: whose questions the daemon can answer. */
  readonly serves: Serves;
  /** Names that policies mean by `dns:`. */
  readonly names: readonly NameStatus[];
  /** Of routewall.yaml; absent where there are none. */
  readonly wires?: readonly WireStatus[];
}

export interface Serves {
  readonly config: string;
  readonly policies: string;
  readonly lxcPaths: readonly string[];
}

export interface NameStatus {
  readonly name: string;
  /** Those that rules match. */
  readonly addresses: readonly string[];
  /** Answers that don't count, each with the reason. */
  readonly ignored: readonly string[];
  /** When a server last answered, and when it is asked again; `null` where it never did. */
  readonly answered: string | null;
  readonly next: string | null;
  /** What came of the last question, if no answer. */
  readonly error: string | null;
}

export interface ContainerStatus extends Unenforced {
  readonly container: string;
  /** As LXC says it. */
  readonly state: string;
  readonly policy: {
    readonly file: string | null;
    readonly status: PolicyStatus;
    readonly observing: Observing | null;
  };
  /** Since when what is in force for it is in force; `null` where nothing is. */
  readonly since: string | null;
  readonly problems: readonly Problem[];
  /** Those that are enforced. */
  readonly nics: readonly NicStatus[];
  /** It has no NIC that a policy could be for, running or not; absent otherwise. */
  readonly ours?: false;
  /** The next one first. */
  readonly ends: readonly EndStatus[];
  /** Why its rules, or one of its routes, are not in force; where they were refused, what it had before stays; what the backend can't say gets nothing. */
  readonly refused: string | null;
}

/** A rule that ends by itself: its place, and when. */
export interface EndStatus {
  readonly file: string;
  readonly line: number;
  readonly until: string;
}

export interface NicStatus {
  readonly nic: string;
  readonly hostVeth: string;
  readonly addresses: readonly string[];
}

export interface SysctlStatus {
  readonly key: string;
  readonly value: string;
  readonly reason: string;
}

/** Which daemon wrote it, whatever the rest of it says. */
export type Server = Pick<StatusFile, 'pid' | 'started' | 'serves'>;
