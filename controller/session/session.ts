/** The daemon under one configuration: watchers that mark, and passes that drain the marks. */
import { join } from 'node:path';
import { createHostEventBus, type HostEventBus, type Source } from '../../watchers/events.ts';
import { readFileSignature } from '../../watchers/file-signature.ts';
import { containerId } from '../host/containers.ts';
import type { Hint } from '../host/hinted-runtime.ts';
import type { ContainerRef } from '../host/known-containers.ts';
import { messageOf } from '../log.ts';
import { prefixesToCome } from '../pass/configured-addresses.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import type { Outcome } from '../pass/outcome.ts';
import { Reconciler } from '../pass/reconcile.ts';
import type { Order } from '../revisions/revisions.ts';
import { createTimers } from '../timers.ts';
import { createSessionFollowers, type SessionFollowers } from './followers.ts';
import { listenToHost } from './host-events.ts';
import { Passes } from './passes.ts';
import { SessionReadings } from './readings.ts';
import { refusedFiles } from './refused-files.ts';
import { RegularResync } from './regular-resync.ts';
import { SessionEnded } from './session-ended.ts';
import type { SessionOptions } from './session-options.ts';
import { createSessionWatchers, type SessionWatchers } from './session-watchers.ts';
import { type SourceState, Sources, SYNC_PATIENCE_MS } from './sources.ts';
import { tryAgain } from './tried-again.ts';

export class Session {
  readonly #options: SessionOptions;
  readonly #bus: HostEventBus = createHostEventBus();
  readonly #watchers: SessionWatchers;
  readonly #sources: Sources;
  readonly #passes: Passes;
  readonly reconciler: Reconciler;
  readonly #timers = createTimers();
  readonly #followers: SessionFollowers;
  readonly readings: SessionReadings;
  #configSignature: string | undefined;
  readonly #regular: RegularResync;
  /** By the last pass, nft or ip refused something of a container. */
  #isRefused = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#configSignature = readFileSignature(options.configFile)?.text;
    this.#watchers = createSessionWatchers(this.#bus, options);
    const mark = (): DirtyParts => this.#passes.mark();
    this.#sources = new Sources({
      log: options.log,
      rules: options.polledRules === undefined ? 'nft-monitor' : 'iptables-rules',
      onReady: () => this.#passes.request(),
      // Ten thousand interfaces that are set at once are more than ip monitor can take: containers that start then
      // needn't wait for a pass that reads everything.
      onLacking: (source) => (source === 'ip-monitor' ? this.#regular.noteUntold() : this.requestEverything()),
      onChanged: options.onStanding,
      onTraffic: () => this.requestResync(),
    });
    this.readings = new SessionReadings({
      ...options,
      timers: this.#timers,
      mark,
      compareAgain: () => this.#regular.retry(),
    });
    this.reconciler = new Reconciler({
      ...options,
      onUnread: (container, why) => this.readings.note(container, why),
      onPostponed: (devs) => {
        const { sysctls } = mark();
        for (const dev of devs) sysctls.add(dev);
      },
      answers: () => options.dnsMemory.answers,
      onConfigRead: ({ lxcPath, name, lxc }) => this.#watchers.folders.setIncludes({ lxcPath, name }, lxc.files),
      onLate: ({ lxcPath, name }) => {
        mark().runtimes.set(containerId(lxcPath, name), { lxcPath, name });
      },
      onLateLeases: () => {
        mark().leases = true;
      },
    });
    this.#regular = new RegularResync({
      ...options,
      timers: this.#timers,
      periodMs: options.config.resyncSeconds * 1000,
      findWrong: () => this.reconciler.look.findWrong(() => this.#passes.idle()),
      onSame: (tookMs) => {
        this.readings.settleComparison();
        options.onSame(tookMs);
      },
      request: (wrong) => {
        if (wrong === 'anything') this.requestEverything();
        else Object.assign(mark(), { resync: true, ...(wrong === 'links' && { links: 'all' }) });
      },
    });
    this.#followers = createSessionFollowers({
      ...options,
      bus: this.#bus,
      watchers: this.#watchers,
      sources: this.#sources,
      timers: this.#timers,
      reader: this.reconciler.reader,
      mark,
    });
    this.#passes = new Passes({
      ...options,
      reconciler: this.reconciler,
      readings: this.readings,
      regular: this.#regular,
      timers: this.#timers,
      isReady: () => this.#sources.isReady,
      isEnforced: () => options.applier.enforced !== undefined,
      onOutcome: async (outcome, began) => {
        this.#isRefused = outcome.applied.refused.size + outcome.applied.unrouted.size > 0;
        for (const one of this.reconciler.reader.takeReplaced())
          mark().runtimes.set(containerId(one.lxcPath, one.name), one);
        await this.#followers.follow(outcome);
        options.onOutcome(outcome, performance.now() - began);
      },
    });
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
    return this.#passes.began;
  }

  async start(): Promise<void> {
    listenToHost(this.#bus, {
      ...this.#options,
      reader: this.reconciler.reader,
      mark: this.#passes.mark,
      markLater: this.#passes.markLater,
    });
    this.#sources.listen(this.#bus);
    for (const watcher of this.#watchers.all) await watcher.start();
    this.#timers.after(SYNC_PATIENCE_MS, () => this.#sources.becomeReady());
    this.#regular.begin();
    this.#tryAgain();
  }

  #tryAgain(): void {
    const again = (): void => this.#passes.request();
    const refused = [
      { isRefused: () => this.#diskRefuses(), again },
      { isRefused: () => this.#isRefused, again },
      { isRefused: () => this.#options.applier.isRefused, again: () => this.requestResync() },
      refusedFiles({ ...this.#options, refused: () => this.reconciler.reader.refused, mark: this.#passes.mark }),
    ];
    for (const each of refused) tryAgain(this.#timers, each);
  }

  #diskRefuses(): boolean {
    const refuses = this.#options.diskRefuses();
    if (this.readings.noteDisk(refuses)) this.#options.onStanding();
    return refuses;
  }

  async stop(): Promise<void> {
    this.#passes.close();
    this.#timers.stop();
    const stopped = await Promise.allSettled(this.#watchers.all.map((watcher) => watcher.stop()));
    await this.#passes.idle();
    // Behind the last pass, which may have begun to follow something.
    stopped.push(...(await Promise.allSettled([this.#followers.stop()])));
    for (const result of stopped) {
      if (result.status === 'rejected') this.#options.log('warning', `stopping: ${messageOf(result.reason)}`);
    }
    this.#passes.reject(new SessionEnded());
  }

  /** Reads the container, its policy and its veths again. @returns what the pass that did so came to. */
  async admit({ lxcPath, name }: ContainerRef, hint: Hint | undefined): Promise<Outcome> {
    const id = containerId(lxcPath, name);
    this.#expect(id);
    if (hint !== undefined) this.reconciler.reader.runtimes.hint(id, hint);
    this.#passes.dirty.configs.set(id, { lxcPath, name });
    // The folder's watcher tells of a change too, but a container may be started right after it.
    for (const suffix of ['yaml', 'yml', 'json']) {
      const file = join(this.#options.policyFolder, 'containers', `${name}.${suffix}`);
      if (this.#passes.dirty.policies !== 'all') this.#passes.dirty.policies.add(file);
    }
    const outcome = await this.#passFor({ lxcPath, name });
    // What began before it would be answered by its init, and by no policy.
    await this.#options.pretended.idle();
    return outcome;
  }

  /** What others began in its name has to end with its start. Not before its hook asks: LXC's own work would wait for the look. */
  #expect(id: string): void {
    const { applier, pretended } = this.#options;
    const known = this.reconciler.reader.known.get(id);
    if (known !== undefined) pretended.expect(prefixesToCome(known.container, applier.lastEnforced));
  }

  /** The veth is about to go: takes away what is ours of it, before it takes that along. */
  async release({ lxcPath, name }: ContainerRef, veth: string): Promise<Outcome> {
    this.reconciler.reader.runtimes.release(containerId(lxcPath, name), veth);
    return await this.#passFor({ lxcPath, name });
  }

  /** One at a time. @returns what the pass came to that carried it out, or refused it. */
  async carryOut(order: Order): Promise<Outcome> {
    if (order.kind === 'apply') this.#passes.markEverything();
    return await this.#passes.next(order);
  }

  /** Whatever changed since the last one. */
  async passAgain(): Promise<Outcome> {
    return await this.#passes.next();
  }

  /** Reads again whatever files say, since their watchers may be about to tell; of what runs, only what changed. */
  async refresh(): Promise<void> {
    const { configFile } = this.#options;
    const signature = readFileSignature(configFile)?.text;
    if (signature !== this.#configSignature) this.#passes.dirty.config = true;
    this.#configSignature = signature;
    const isSettled = !this.#passes.dirty.config && this.#passes.isSettled;
    const mark = await this.reconciler.look.lookAtFiles();
    const known = isSettled ? this.reconciler.look.knownOf(mark) : 'nothing';
    if (known === 'all') return;
    if (known === 'nothing') {
      this.#passes.dirty.policies = 'all';
      this.#passes.dirty.tree = true;
    }
    const changed = await this.reconciler.reader.running.changed();
    for (const container of changed) {
      this.#passes.dirty.runtimes.set(containerId(container.lxcPath, container.name), container);
    }
    if (known === 'nothing' || changed.length > 0) await this.#passes.next();
    this.reconciler.look.noteAsked(this.readings.unread.length === 0 ? mark : undefined);
  }

  #passFor({ lxcPath, name }: ContainerRef): Promise<Outcome> {
    this.#passes.dirty.runtimes.set(containerId(lxcPath, name), { lxcPath, name });
    return this.#passes.next();
  }

  /** Compares with the kernel what is known, also what no look would miss, such as who owns our tables. */
  requestResync(): void {
    this.#regular.noteWrong();
    this.#passes.mark().resync = true;
  }

  /** Asks about all names now, whatever their TTL. */
  askNames(): void {
    this.#watchers.dnsNames.askAgain();
  }

  /** Reads everything again and compares it with the kernel. */
  requestEverything(): void {
    this.#passes.markEverything();
    this.#passes.request();
  }
}
