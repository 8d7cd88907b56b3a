/** Says what a pass did, in the log and to its listeners, and begins the clean-up that no one waits for. */
import { networkOf } from '../../render/address.ts';
import { type ChangedNic, changedNics } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { TABLE } from '../../render/ruleset.ts';
import { newlyOwned, policiesToJudge } from '../apply/changed-policies.ts';
import { lostPrefixes } from '../apply/handed-over.ts';
import { tellRepairs } from '../apply/repair-log.ts';
import type { ConntrackCleaner } from '../connections/conntrack.ts';
import type { FlowCutter } from '../connections/cut-flows.ts';
import type { TranslationCutter } from '../connections/cut-translations.ts';
import type { PretendedFlowCutter } from '../connections/pretended-flows.ts';
import type { RefusalCleaner } from '../denials/refusal-counters.ts';
import type { HostReader } from '../host/host-reader.ts';
import { type Log, sayTogether } from '../log.ts';
import type { LogEvent, LogFields } from '../log-event.ts';
import type { PanicView } from '../panic/panic-state.ts';
import type { Outcome } from '../pass/outcome.ts';
import type { UnreadReading } from '../pass/patience.ts';
import { describeWaiting } from '../revisions/describe-waiting.ts';
import type { RevisionView } from '../revisions/revision-view.ts';
import type { DnsMemory } from '../state/dns-memory.ts';
import { describeStatus } from './describe-status.ts';
import { ProblemLog } from './problem-log.ts';
import { readProcessStart } from './process-start.ts';
import type { Serves, StatusFile } from './status-shape.ts';
import { StatusWriter } from './status-writer.ts';

export interface ReporterOptions {
  readonly log: Log;
  readonly conntrack: ConntrackCleaner;
  readonly cutter: FlowCutter;
  readonly translations: TranslationCutter;
  readonly pretended: PretendedFlowCutter;
  readonly refusals: RefusalCleaner;
  readonly runDirectory: string;
  readonly revision: () => RevisionView;
  readonly panic: () => PanicView;
  readonly serves: Omit<Serves, 'lxcPaths'>;
  readonly dnsMemory: DnsMemory;
  /** Told after each pass, when it has been logged. */
  readonly onReport?: (report: Report) => void;
}

/** What the session of the moment tells of itself. */
export interface Watched {
  readonly sources: ReadonlyMap<string, string>;
  readonly readings: { readonly unread: readonly UnreadReading[] };
}

const UNWATCHED: Watched = { sources: new Map(), readings: { unread: [] } };

/** What a pass came to, for the listeners of the daemon. */
export interface Report {
  readonly outcome: Outcome;
  readonly reader: HostReader;
  /** Of this pass: they were not there before. */
  readonly raised: ReadonlyMap<string, 'error' | 'warning'>;
  readonly since: string;
  readonly enforcedAt: string;
  readonly problemCount: number;
  /** Of those, the ones that are errors. */
  readonly errorCount: number;
  /** Milliseconds that the pass took. */
  readonly tookMs: number;
  readonly repairCount: number;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #since = new Date().toISOString();
  readonly #nicsSince = new Map<string, string>();
  #drift = { count: 0, last: null as string | null };
  readonly #problems: ProblemLog;
  #waiting = '';
  #latest: StatusSource | undefined;
  /** Passes have failed since. */
  #isBehindFailure = false;
  readonly #statusWriter: StatusWriter<StatusSource>;
  /** By the status file, something can't be read. */
  #isUnreadTold = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#problems = new ProblemLog(options.log);
    this.#statusWriter = new StatusWriter({
      ...options,
      latest: () => this.#latest,
      describe: async (source) => {
        const status = await this.#describe(source);
        this.#isUnreadTold = status.unread !== undefined && status.unread.length > 0;
        return status;
      },
    });
  }

  get hasErrors(): boolean {
    return this.#problems.errorCount > 0;
  }

  report(outcome: Outcome, reader: HostReader, tookMs: number, watched = UNWATCHED): void {
    const { conntrack, refusals, cutter, translations, pretended } = this.#options;
    const { before, applied, assembled, released } = outcome;
    // A pass behind one that failed knows nothing of what was before.
    const reported = this.#isBehindFailure ? this.#latest?.outcome.applied.enforced : before;
    this.#isBehindFailure = false;
    const come = before === undefined ? applied.come : newlyOwned(before, applied.enforced);
    pretended.cut({ desired: applied.enforced, network: assembled.network }, come);
    this.#reportChanges({ ...outcome, before: reported }, tookMs);
    const raised = this.#problems.tell(outcome, reader);
    this.#reportWaiting();
    conntrack.forget([
      ...lostPrefixes(reported, applied.enforced).filter(({ prefix }) => !released.has(prefix)),
      // Containers that stopped while no daemon ran left their connections behind.
      ...applied.abandoned.map((prefix) => ({ key: '', prefix })),
    ]);
    refusals.forget(goneCounted(this.#latest?.outcome.applied.enforced, applied.enforced));
    // All are asked about after a start, since the run before may have ended between its rules and its cut, and after
    // rules were mended: while they were missing, anything could begin.
    const isMended = applied.repaired.some((line) => line.includes(`inet ${TABLE}`));
    const known = isMended ? undefined : before;
    const changed = policiesToJudge(known, applied.enforced);
    cutter.cut({ desired: applied.enforced, network: assembled.network }, changed);
    translations.cut(known, applied.enforced);
    const enforcedAt = new Date().toISOString();
    this.#latest = { outcome, reader, watched, at: enforcedAt };
    this.#statusWriter.request();
    this.#tell({ outcome: { ...outcome, before: reported }, reader, raised, enforcedAt, tookMs });
  }

  /** A pass failed. */
  noteFailure(): void {
    this.#options.cutter.expect(undefined);
    this.#isBehindFailure = true;
    this.refresh();
  }

  /**
   * A resync found everything as it was, files included. The status file, which would differ in its time alone, stays, unless it
   * tells of a reading that this has made up for.
   */
  reportSame(tookMs: number): void {
    if (this.#latest === undefined) return;
    const enforcedAt = new Date().toISOString();
    const { outcome, reader } = this.#latest;
    this.#latest = { ...this.#latest, at: enforcedAt };
    if (this.#isUnreadTold) this.#statusWriter.request();
    const before = outcome.applied.enforced;
    const same = { ...outcome, before, repaired: [], released: new Set<never>(), isCompared: true, unread: undefined };
    this.#tell({ outcome: same, reader, raised: new Map(), enforcedAt, tookMs });
  }

  #tell(report: Pick<Report, 'outcome' | 'reader' | 'raised' | 'enforcedAt' | 'tookMs'>): void {
    this.#options.onReport?.({
      ...{ ...report, since: this.#since },
      ...{ problemCount: this.#problems.count, errorCount: this.#problems.errorCount, repairCount: this.#drift.count },
    });
  }

  /** Something changed without a pass. */
  refresh(): void {
    if (this.#latest === undefined) return;
    this.#latest = { ...this.#latest };
    this.#statusWriter.request();
  }

  /** As the status file has it, but of this moment; `undefined` before the first pass. */
  async status(): Promise<StatusFile | undefined> {
    return this.#latest === undefined ? undefined : this.#describe(this.#latest);
  }

  /** Waits for what runs in the background. */
  async settle(): Promise<void> {
    const { conntrack, refusals, cutter, translations, pretended } = this.#options;
    const cleaners = [conntrack, refusals, cutter, translations, pretended];
    await Promise.all([...cleaners.map((cleaner) => cleaner.idle()), this.#statusWriter.idle()]);
  }

  #reportChanges({ before, applied, repaired }: Outcome, tookMs: number): void {
    const { log } = this.#options;
    const took = `${tookMs.toFixed(1)} ms`;
    const now = new Date().toISOString();
    const after = applied.enforced;
    if (this.#latest === undefined)
      log('info', `ready: ${after.nics.size} interfaces enforced, ${applied.written} changes written, ${took}`, {
        EVENT: 'ready',
      });
    if (before === undefined) {
      for (const key of after.nics.keys()) if (!this.#nicsSince.has(key)) this.#nicsSince.set(key, now);
    } else {
      sayTogether(() => {
        for (const change of changedNics(before, after)) this.#reportChange(change, { now, took });
      });
    }
    tellRepairs(log, repaired, after);
    if (repaired.length > 0) this.#drift = { count: this.#drift.count + repaired.length, last: now };
  }

  #reportChange(
    { key, old, now: nic }: ChangedNic,
    { now, took }: { readonly now: string; readonly took: string },
  ): void {
    const { log } = this.#options;
    if (nic !== undefined) {
      this.#nicsSince.set(key, now);
      log('info', `${describe(nic)}: enforced in ${took}`, fieldsOf(nic, 'enforced'));
      return;
    }
    this.#nicsSince.delete(key);
    if (old !== undefined) log('info', `${describe(old)}: removed in ${took}`, fieldsOf(old, 'removed'));
  }

  async #describe({ outcome, reader, watched, at }: StatusSource): Promise<StatusFile> {
    const started = await readProcessStart(process.pid);
    return await describeStatus(outcome, reader, {
      ...{ pid: process.pid, started: started ?? 0, since: this.#since, enforcedAt: at },
      ...{ drift: this.#drift, nicsSince: this.#nicsSince, revision: this.#options.revision() },
      ...{ watchers: watched.sources, unread: watched.readings.unread },
      panic: this.#options.panic(),
      serves: { ...this.#options.serves, lxcPaths: reader.lxcPaths },
      records: this.#options.dnsMemory.records,
    });
  }

  /** Files that differ from what is in force are told once, and again when the reason changes. */
  #reportWaiting(): void {
    const { waiting, reason, inForce } = this.#options.revision();
    const text = reason === null ? '' : `${describeWaiting(waiting, reason)}; in force is revision ${inForce}`;
    if (text === this.#waiting) return;
    if (text !== '') this.#options.log('info', text);
    this.#waiting = text;
  }
}

interface StatusSource {
  readonly outcome: Outcome;
  readonly reader: HostReader;
  readonly watched: Watched;
  readonly at: string;
}

const fieldsOf = ({ container, hostVeth }: NicState, event: LogEvent): LogFields => ({
  EVENT: event,
  CONTAINER: container,
  INTERFACE: hostVeth,
});

const describe = ({ container, nic, hostVeth, owned }: NicState): string =>
  `${container} ${nic} via ${hostVeth} (${owned.join(', ')})`;

/** By what refused packets are counted: the interface, or behind a bridge the address. */
function goneCounted(before: DesiredState | undefined, after: DesiredState): string[] {
  if (before === undefined) return [];
  return changedNics(before, after).flatMap(({ old, now }) => {
    if (old === undefined) return [];
    const { hostVeth, port, owned } = old;
    const stays = now?.hostVeth === hostVeth;
    if (stays && now.owned === owned) return [];
    const lost = port === undefined ? [] : owned.filter((prefix) => !stays || !now.owned.includes(prefix));
    return [...(stays ? [] : [hostVeth]), ...lost.map(networkOf)];
  });
}
