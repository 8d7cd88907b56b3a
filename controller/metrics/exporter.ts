/** The metrics of this daemon: told of each pass, and put into words when somebody asks. */
import { setImmediate } from 'node:timers/promises';
import { parseAddress } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { VERSION } from '../cli/version.ts';
import type { Run } from '../commands/run.ts';
import { type CountedElement, readCounted } from '../denials/counted-packets.ts';
import { refusedOn } from '../denials/denials.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { type Log, messageOf } from '../log.ts';
import { isSealed, type PanicState } from '../panic/panic-state.ts';
import { POLICY_STATUSES } from '../pass/policy-status.ts';
import type { Report } from '../status/report.ts';
import { readInterfaceCounters } from './interface-counters.ts';
import { type CountedNic, NicCounters } from './nic-counters.ts';
import { createMetrics } from './registry.ts';

/** A full listing takes seconds: one that took long isn't had again before a hundred times that long. */
const REST = { afterMs: 200, times: 100 };

/** Of the moment of the question. */
export interface MetricsFacts {
  readonly panic: () => PanicState;
  /** Whether the backend counts what policies refuse. */
  readonly countsRefusals: () => boolean;
}

export class Exporter {
  readonly #run: Run;
  readonly #log: Log;
  readonly #facts: MetricsFacts;
  readonly #metrics = createMetrics();
  readonly #nics = new NicCounters(this.#metrics);
  #latest: Report | undefined;
  #repairs = 0;
  #rendering: Promise<string> | undefined;
  #refusedDue = 0;
  readonly #complaints = new Map<string, string>();

  constructor(run: Run, log: Log, facts: MetricsFacts) {
    this.#facts = facts;
    this.#run = run;
    this.#log = log;
    this.#metrics.info.set({ version: VERSION }, 1);
    for (const result of ['done', 'failed']) this.#metrics.passes.inc({ result }, 0);
  }

  get contentType(): string {
    return this.#metrics.registry.contentType;
  }

  /** Costs next to nothing: everything that depends on the number of containers waits for `render`. */
  observe(report: Report): void {
    const { passes, passSeconds, repaired, comparedAt } = this.#metrics;
    this.#latest = report;
    passes.inc({ result: 'done' });
    if (report.outcome.isCompared) comparedAt.set(Date.parse(report.enforcedAt) / 1000);
    passSeconds.observe(report.tookMs / 1000);
    repaired.inc(report.repairCount - this.#repairs);
    this.#repairs = report.repairCount;
  }

  observeFailure(): void {
    this.#metrics.passes.inc({ result: 'failed' });
  }

  observeUnread(): void {
    this.#metrics.putAside.inc();
  }

  /** The text of this moment, in Prometheus' format; questions that come while it is being made get the same. */
  render(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #render(): Promise<string> {
    if (this.#latest !== undefined) this.#describe(this.#latest);
    await this.#try('packets of interfaces', async () => this.#nics.addCarried(await readInterfaceCounters()));
    const begin = performance.now();
    // No series at all: zeros would say that nothing is refused.
    if (!this.#facts.countsRefusals()) this.#metrics.refused.reset();
    else if (begin >= this.#refusedDue) {
      await this.#try('refused packets', async () =>
        this.#nics.addRefused(await readRefused(this.#run, this.#latest?.outcome.applied.enforced)),
      );
      const end = performance.now();
      const took = end - begin;
      this.#refusedDue = took < REST.afterMs ? 0 : end + took * REST.times;
    }
    return await this.#write();
  }

  /** Metric by metric, so that the text of 10,000 containers holds up a pass by 40 ms and not by 200. */
  async #write(): Promise<string> {
    const { registry } = this.#metrics;
    const texts: string[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      texts.push(await registry.getSingleMetricAsString(name));
      await setImmediate();
    }
    return `${texts.join('\n\n')}\n`;
  }

  #describe({ outcome, reader, enforcedAt, problemCount, errorCount }: Report): void {
    const { assembled, applied } = outcome;
    const metrics = this.#metrics;
    metrics.enforcedAt.set(Date.parse(enforcedAt) / 1000);
    metrics.interfaces.set(applied.enforced.nics.size);
    metrics.problems.set({ severity: 'error' }, errorCount);
    metrics.problems.set({ severity: 'warning' }, problemCount - errorCount);
    // States without a container show 0 where they are usual, and go where they aren't.
    metrics.containers.reset();
    for (const state of ['RUNNING', 'STOPPED']) metrics.containers.set({ state }, 0);
    for (const status of POLICY_STATUSES) metrics.policies.set({ status }, 0);
    const panic = this.#facts.panic();
    metrics.sealed.set([...reader.known.values()].filter(({ name }) => isSealed(panic, name)).length);
    const nics: CountedNic[] = [];
    for (const { container, lxcPath, name, runtime } of reader.known.values()) {
      metrics.containers.inc({ state: runtime.state });
      metrics.policies.inc({ status: assembled.policies.get(container.id)?.status ?? 'closed' });
      for (const { key, nic } of container.endpoints) {
        const hostVeth = applied.enforced.nics.get(key)?.hostVeth;
        nics.push({ key, container: name, lxcPath, nic, hostVeth });
      }
    }
    this.#nics.follow(nics);
  }

  /** What can't be read keeps its last value: half of the metrics are better than none. */
  async #try(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.#complaints.delete(what);
    } catch (cause) {
      const message = messageOf(cause);
      // It goes on failing with every scrape, in the same way.
      if (this.#complaints.get(what) !== message) this.#log('warning', `metrics: ${what}: ${message}`);
      this.#complaints.set(what, message);
    }
  }
}

/** What policies refused. */
async function readRefused(run: Run, enforced: DesiredState | undefined) {
  const elements = await readCounted(run, refusedOn(enforced?.host ?? {}));
  const vethOf = ({ whose, isBridged = false }: CountedElement): string => {
    const address = isBridged && enforced !== undefined ? parseAddress(whose) : undefined;
    if (enforced === undefined || address === undefined) return whose;
    return nicIndexOf(enforced).ownerOf(address)?.nic.hostVeth ?? whose;
  };
  return (['egress', 'ingress'] as const).flatMap((direction) =>
    elements
      .filter(({ by }) => by === direction)
      .map((element) => ({
        ...{ veth: vethOf(element), direction },
        ...{ key: `${direction} ${element.key}`, packets: element.packets },
      })),
  );
}
