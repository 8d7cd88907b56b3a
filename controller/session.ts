/** The daemon under one configuration: watchers that mark, and passes that drain the marks. */
import { join } from 'node:path';
import { createHostEventBus, type HostEventBus, type Source } from '../watchers/events.ts';
import { readFileSignature } from '../watchers/file-signature.ts';
import {
  type DirtyParts,
  everythingDirty,
  isOfContainers,
  mergeDirty,
  nothingDirty,
  splitComparison,
} from './dirty.ts';
import { containerId } from './host/containers.ts';
import type { Hint } from './host/hinted-runtime.ts';
import type { ContainerRef } from './host/known-containers.ts';
import { messageOf } from './log.ts';
import type { Outcome } from './outcome.ts';
import { createPassQueue, type PassQueue } from './pass-queue.ts';
import { concernsContainers } from './patience.ts';
import { Reconciler } from './reconcile.ts';
import { RegularResync } from './regular-resync.ts';
import type { Wrong } from './resync-look.ts';
import type { Order } from './revisions/revisions.ts';
import { SessionEnded } from './session-ended.ts';
import { listenToHost } from './session-events.ts';
import { createSessionFollowers, type SessionFollowers } from './session-followers.ts';
import type { SessionOptions } from './session-options.ts';
import { SessionReadings } from './session-readings.ts';
import { createSessionWatchers, type SessionWatchers } from './session-watchers.ts';
import { type SourceState, Sources, SYNC_PATIENCE_MS } from './sources.ts';
import { createTimers } from './timers.ts';

/** After a pass that failed: soon, then ever more rarely. */
const RETRY_MS = { first: 200, most: 30_000 };

interface Waiter {
  readonly order?: Order | undefined;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (cause: unknown) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #bus: HostEventBus = createHostEventBus();
  readonly #watchers: SessionWatchers;
  readonly #sources: Sources;
  readonly #queue: PassQueue;
  readonly reconciler: Reconciler;
  readonly #timers = createTimers();
  readonly #followers: SessionFollowers;
  #dirty: DirtyParts = everythingDirty();
  #waiting: Waiter[] = [];
  #passBegan: number | undefined;
  #retryMs = RETRY_MS.first;
  readonly readings: SessionReadings;
  #configSignature: string | undefined;
  readonly #regular: RegularResync;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#configSignature = readFileSignature(options.configFile)?.text;
    this.#watchers = createSessionWatchers(this.#bus, options);
    this.#sources = new Sources({
      log: options.log,
      rules: options.polledRules === undefined ? 'nft-monitor' : 'iptables-rules',
      onReady: () => this.#request(),
      // Ten thousand interfaces that are set at once are more than ip monitor can take: who starts then needn't wait for a
      // pass that reads everything.
      onLacking: (source) => (source === 'ip-monitor' ? this.#regular.noteUntold() : this.requestEverything()),
      onTraffic: () => this.requestResync(),
    });
    this.readings = new SessionReadings({
      ...options,
      timers: this.#timers,
      mark: this.#mark,
      compareAgain: () => this.#regular.retry(),
    });
    this.reconciler = new Reconciler({
      ...options,
      onUnread: (container, why) => this.readings.note(container, why),
      onPostponed: (devs) => {
        const { sysctls } = this.#mark();
        for (const dev of devs) sysctls.add(dev);
      },
      answers: () => options.dnsMemory.answers,
      onConfigRead: ({ lxcPath, name, lxc }) => this.#watchers.folders.setIncludes({ lxcPath, name }, lxc.files),
      onLate: ({ lxcPath, name }) => {
        this.#mark().runtimes.set(containerId(lxcPath, name), { lxcPath, name });
      },
      onLateLeases: () => {
        this.#mark().leases = true;
      },
    });
    this.#regular = new RegularResync({
      ...options,
      timers: this.#timers,
      periodMs: options.config.resyncSeconds * 1000,
      findWrong: () => this.#findWrong(),
      onSame: (tookMs) => {
        this.readings.settleComparison();
        options.onSame(tookMs);
      },
      request: (wrong) => {
        if (wrong === 'anything') this.requestEverything();
        else Object.assign(this.#mark(), { resync: true, ...(wrong === 'links' && { links: 'all' }) });
      },
    });
    this.#followers = createSessionFollowers({
      ...options,
      bus: this.#bus,
      watchers: this.#watchers,
      sources: this.#sources,
      timers: this.#timers,
      reader: this.reconciler.reader,
      mark: this.#mark,
    });
    this.#queue = createPassQueue(() => this.#pass());
  }

  get sources(): ReadonlyMap<Source, SourceState> {
    return this.#sources.states;
  }

  get lxcPaths(): readonly string[] {
    return this.#options.config.lxcPaths;
  }

  get policyFolder(): string {
    return this.#options.policyFolder;
  }

  /** Since when the present pass runs, by the clock of `performance.now()`. */
  get passBegan(): number | undefined {
    return this.#passBegan;
  }

  async start(): Promise<void> {
    listenToHost(this.#bus, { ...this.#options, reader: this.reconciler.reader, mark: this.#mark });
    this.#sources.listen(this.#bus);
    for (const watcher of this.#watchers.all) await watcher.start();
    this.#timers.after(SYNC_PATIENCE_MS, () => this.#sources.becomeReady());
    this.#regular.begin();
  }

  async stop(): Promise<void> {
    this.#queue.close();
    this.#timers.stop();
    const stopped = await Promise.allSettled(this.#watchers.all.map((watcher) => watcher.stop()));
    await this.#queue.idle();
    // Behind the last pass, which may have begun to follow something.
    stopped.push(...(await Promise.allSettled([this.#followers.stop()])));
    for (const result of stopped) {
      if (result.status === 'rejected') this.#options.log('warning', `stopping: ${messageOf(result.reason)}`);
    }
    for (const { reject } of this.#waiting.splice(0)) reject(new SessionEnded());
  }

  /** Reads the container, its policy and its veths again. @returns what the pass that did so came to. */
  async admit({ lxcPath, name }: ContainerRef, hint: Hint | undefined): Promise<Outcome> {
    const id = containerId(lxcPath, name);
    if (hint !== undefined) this.reconciler.reader.runtimes.hint(id, hint);
    this.#dirty.configs.set(id, { lxcPath, name });
    // The folder's watcher tells of a change too, but a container may be started right after it.
    for (const suffix of ['yaml', 'yml', 'json']) {
      const file = join(this.#options.policyFolder, 'containers', `${name}.${suffix}`);
      if (this.#dirty.policies !== 'all') this.#dirty.policies.add(file);
    }
    return await this.#passFor({ lxcPath, name });
  }

  /** The veth is about to go: takes away what is ours of it, before it takes that along. */
  async release({ lxcPath, name }: ContainerRef, veth: string): Promise<Outcome> {
    this.reconciler.reader.runtimes.release(containerId(lxcPath, name), veth);
    return await this.#passFor({ lxcPath, name });
  }

  /** One at a time. @returns what the pass came to that carried it out, or refused it. */
  async carryOut(order: Order): Promise<Outcome> {
    if (order.kind === 'apply') this.#dirty = mergeDirty(this.#dirty, everythingDirty());
    return await this.#nextPass(order);
  }

  /** Whatever changed since the last one. */
  async passAgain(): Promise<Outcome> {
    return await this.#nextPass(undefined);
  }

  /** Reads again whatever files say, since their watchers may be about to tell; of what runs, only what changed. */
  async refresh(): Promise<void> {
    const { configFile } = this.#options;
    const signature = readFileSignature(configFile)?.text;
    if (signature !== this.#configSignature) this.#dirty.config = true;
    this.#configSignature = signature;
    const isSettled = !this.#dirty.config && this.#queue.isIdle && this.#retryMs === RETRY_MS.first;
    const mark = await this.reconciler.look.lookAtFiles();
    const known = isSettled ? this.reconciler.look.knownOf(mark) : 'nothing';
    if (known === 'all') return;
    if (known === 'nothing') {
      this.#dirty.policies = 'all';
      this.#dirty.tree = true;
    }
    const changed = await this.reconciler.reader.running.changed();
    for (const container of changed) {
      this.#dirty.runtimes.set(containerId(container.lxcPath, container.name), container);
    }
    if (known === 'nothing' || changed.length > 0) await this.#nextPass(undefined);
    this.reconciler.look.noteAsked(this.readings.unread.length === 0 ? mark : undefined);
  }

  #passFor({ lxcPath, name }: ContainerRef): Promise<Outcome> {
    this.#dirty.runtimes.set(containerId(lxcPath, name), { lxcPath, name });
    return this.#nextPass(undefined);
  }

  #nextPass(order: Order | undefined): Promise<Outcome> {
    const outcome = new Promise<Outcome>((resolve, reject) => {
      this.#waiting.push({ resolve, reject, order });
    });
    this.#request();
    return outcome;
  }

  /** Compares with the kernel what is known, also what no look would miss, such as who owns our tables. */
  requestResync(): void {
    this.#regular.noteWrong();
    this.#mark().resync = true;
  }

  async #findWrong(): Promise<Wrong | undefined> {
    // Any pass tries again what the disk refused.
    if (this.#options.isUnsaved()) this.#request();
    return await this.reconciler.look.findWrong(() => this.#queue.idle());
  }

  /** Asks about all names now, whatever their TTL. */
  askNames(): void {
    this.#watchers.dnsNames.askAgain();
  }

  /** Reads everything again and compares it with the kernel. */
  requestEverything(): void {
    this.#dirty = mergeDirty(this.#dirty, everythingDirty());
    this.#request();
  }

  /** What is marked in it at once is read by the pass that this asks for. */
  readonly #mark = (): DirtyParts => {
    this.#request();
    return this.#dirty;
  };

  #request(): void {
    if (this.#sources.isReady) this.#queue.request();
  }

  /** Somebody starts, and all that is ours is there, as far as is known. */
  #mayCompareLater(dirty: DirtyParts): boolean {
    return concernsContainers(dirty) && !dirty.deleted && this.#options.applier.enforced !== undefined;
  }

  async #pass(): Promise<void> {
    let dirty = this.#dirty;
    this.#dirty = nothingDirty();
    if (dirty.config) {
      this.#options.onConfigChanged();
      return;
    }
    if (dirty.runtimes.size > 0) this.#regular.noteStart();
    const waiting = this.#waiting.splice(0);
    const order = waiting.find((waiter) => waiter.order !== undefined)?.order;
    if (dirty.resync && this.#regular.letsPass(order === undefined && this.#mayCompareLater(dirty))) {
      [dirty, this.#dirty] = splitComparison(dirty);
      this.#request();
    }
    const begin = performance.now();
    this.#passBegan = begin;
    try {
      const isAwaited = () => this.#waiting.length > 0 || [dirty, this.#dirty].some(concernsContainers);
      // A hook comes while its container's link is being read about: it need not wait for a pass of its own.
      const join = (): DirtyParts | undefined => {
        const late = this.#dirty;
        if (!this.#waiting.every((waiter) => waiter.order === undefined) || !isOfContainers(late)) return undefined;
        waiting.push(...this.#waiting.splice(0));
        this.#dirty = nothingDirty();
        dirty = mergeDirty(dirty, late);
        return late;
      };
      const waits = this.readings.begin(dirty.resync, isAwaited);
      const outcome = await this.reconciler.reconcile(dirty, order, waits, join);
      this.readings.end(outcome);
      if (outcome.isCompared) this.#regular.noteCompared();
      this.#retryMs = RETRY_MS.first;
      await this.#followers.follow(outcome);
      this.#options.onOutcome(outcome, performance.now() - begin);
      for (const { resolve } of waiting) resolve(outcome);
    } catch (cause) {
      this.readings.fail();
      for (const { reject } of waiting) reject(cause);
      this.#options.log('error', `${messageOf(cause)}; trying again in ${this.#retryMs} ms`);
      this.#options.onFailure();
      this.#dirty = mergeDirty(this.#dirty, { ...dirty, resync: true });
      this.#timers.after(this.#retryMs, () => this.#request());
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
    } finally {
      this.#passBegan = undefined;
    }
  }
}
