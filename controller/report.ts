/** Says what a pass did: log lines, the status file, and the clean-up that no one waits for. */
import type { Problem } from '../policies/problem.ts';
import { formatProblem, isError } from '../policies/problem.ts';
import type { DesiredState, NicState } from '../render/desired.ts';
import type { Source } from '../watchers/events.ts';
import { problemsOf } from './assemble.ts';
import type { ConntrackCleaner } from './conntrack.ts';
import type { HostReader } from './host-reader.ts';
import type { Log } from './log.ts';
import type { Outcome } from './reconcile.ts';
import type { SourceState } from './session.ts';

export interface ReporterOptions {
  readonly log: Log;
  readonly conntrack: ConntrackCleaner;
  readonly runDirectory: string;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #problems = new Set<string>();
  #started = false;
  hasErrors = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  report(outcome: Outcome, reader: HostReader, tookMs: number, _sources?: ReadonlyMap<Source, SourceState>): void {
    const { log, conntrack } = this.#options;
    const { before, applied, repaired } = outcome;
    const after = applied.enforced;
    const took = `${tookMs.toFixed(1)} ms`;
    if (!this.#started)
      log('info', `ready: ${after.nics.size} interfaces enforced, ${applied.written} changes written, ${took}`);
    this.#started = true;
    for (const [key, nic] of after.nics)
      if (before !== undefined && before.nics.get(key) !== nic) log('info', `${describe(nic)}: enforced in ${took}`);
    for (const [key, nic] of before?.nics ?? [])
      if (!after.nics.has(key)) log('info', `${describe(nic)}: removed in ${took}`);
    for (const line of repaired) log('warning', `repaired: ${line}`);
    this.#reportProblems(outcome, reader);
    conntrack.forget(goneAddresses(before, after));
  }

  /** Waits for what runs in the background. */
  async settle(): Promise<void> {
    await this.#options.conntrack.idle();
  }

  /** Each problem is told once when it comes, and once when it has gone. */
  #reportProblems({ assembled, applied }: Outcome, reader: HostReader): void {
    const { log } = this.#options;
    const found: Problem[] = [...reader.known.values()].flatMap(({ container }) => problemsOf(assembled, container));
    const refused = [...applied.refused].map(
      ([key, message]) => `${key}: nft refuses its rules: ${message}; what it had before stays in force`,
    );
    const texts = new Map(
      found.map((problem) => [formatProblem(problem), isError(problem) ? ('error' as const) : ('warning' as const)]),
    );
    for (const text of refused) texts.set(text, 'error');
    for (const [text, level] of texts) if (!this.#problems.has(text)) log(level, text);
    for (const text of this.#problems) if (!texts.has(text)) log('info', `no longer: ${text}`);
    this.#problems = new Set(texts.keys());
    this.hasErrors = [...texts.values()].includes('error');
  }
}

const describe = ({ container, nic, hostVeth, owned }: NicState): string =>
  `${container} ${nic} via ${hostVeth} (${owned.join(', ')})`;

/** What was owned and is owned no more, or by another interface. */
function goneAddresses(before: DesiredState | undefined, after: DesiredState) {
  return [...(before?.nics ?? [])].flatMap(([key, nic]) => {
    const now = after.nics.get(key);
    return now === nic ? [] : nic.owned.filter((prefix) => now?.owned.includes(prefix) !== true);
  });
}
