/** The daemon under one configuration: watchers that mark, and passes that drain the marks. */
import type { HostConfig } from '../policies/config.ts';
import { createHostEventBus, type HostEventBus, type Source, type Watcher } from '../watchers/events.ts';
import { watchIpMonitor } from '../watchers/ip-monitor.ts';
import { watchLxcFolders } from '../watchers/lxc-folders.ts';
import { watchLxcMonitor } from '../watchers/lxc-monitor.ts';
import { watchNftMonitor } from '../watchers/nft-monitor.ts';
import { watchPolicyFiles } from '../watchers/policy-files.ts';
import type { Applier } from './apply.ts';
import { type DirtyParts, everythingDirty, mergeDirty, nothingDirty } from './dirty.ts';
import type { LastGood } from './last-good.ts';
import { type Log, messageOf } from './log.ts';
import { markEvents } from './mark-events.ts';
import { createPassQueue, type PassQueue } from './pass-queue.ts';
import { type Outcome, Reconciler } from './reconcile.ts';
import type { Run } from './run.ts';

export interface SessionOptions {
  readonly config: HostConfig;
  readonly configFile: string;
  readonly policyFolder: string;
  readonly applier: Applier;
  readonly lastGood: LastGood;
  readonly run: Run;
  readonly log: Log;
  /** Whether a commit by this process is our own. */
  readonly isOurProcess: (pid: number) => boolean;
  readonly onOutcome: (outcome: Outcome, tookMs: number) => void;
  /** The main configuration changed: this session is to be replaced. */
  readonly onConfigChanged: () => void;
}

export type SourceState = 'starting' | 'synced' | 'failed';

const SOURCES: readonly Source[] = ['lxc-config', 'lxc-monitor', 'ip-monitor', 'nft-monitor', 'policy-files'];

/** After a pass that failed: soon, then ever more rarely. */
const RETRY_MS = { first: 200, most: 30_000 };

/** A source that can't even start must not keep the others' containers shut for ever. */
const SYNC_PATIENCE_MS = 15_000;

export class Session {
  readonly #options: SessionOptions;
  readonly #bus: HostEventBus = createHostEventBus();
  readonly #watchers: readonly Watcher[];
  readonly #queue: PassQueue;
  readonly reconciler: Reconciler;
  readonly #sources = new Map<Source, SourceState>(SOURCES.map((source) => [source, 'starting']));
  readonly #timers = new Set<NodeJS.Timeout>();
  #dirty: DirtyParts = everythingDirty();
  #ready = false;
  #retryMs = RETRY_MS.first;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { config, configFile, policyFolder } = options;
    const folders = watchLxcFolders(this.#bus, { lxcPaths: config.lxcPaths });
    // Monitors first: what changes while the folders are being listed is heard.
    this.#watchers = [
      watchIpMonitor(this.#bus),
      watchNftMonitor(this.#bus),
      watchLxcMonitor(this.#bus, { lxcPaths: config.lxcPaths }),
      folders,
      watchPolicyFiles(this.#bus, { policyFolder, configFile }),
    ];
    this.reconciler = new Reconciler({
      ...options,
      onConfigRead: ({ lxcPath, name, lxc }) => folders.setIncludes({ lxcPath, name }, lxc.files),
    });
    this.#queue = createPassQueue(() => this.#pass());
  }

  get sources(): ReadonlyMap<Source, SourceState> {
    return this.#sources;
  }

  async start(): Promise<void> {
    this.#listen();
    for (const watcher of this.#watchers) await watcher.start();
    this.#after(SYNC_PATIENCE_MS, () => this.#becomeReady('went on without'));
    this.#every(this.#options.config.resyncSeconds * 1000, () => this.requestEverything());
  }

  async stop(): Promise<void> {
    this.#queue.close();
    for (const timer of this.#timers) clearTimeout(timer);
    const stopped = await Promise.allSettled(this.#watchers.map((watcher) => watcher.stop()));
    for (const result of stopped) {
      if (result.status === 'rejected') this.#options.log('warning', `stopping: ${messageOf(result.reason)}`);
    }
    await this.#queue.idle();
  }

  /** Reads everything again and compares it with the kernel. */
  requestEverything(): void {
    this.#dirty = mergeDirty(this.#dirty, everythingDirty());
    this.#request();
  }

  #listen(): void {
    markEvents(this.#bus, {
      mark: () => {
        this.#request();
        return this.#dirty;
      },
      guard: this.#options.config.guard,
      uplinks: this.#options.config.uplinks === 'auto' ? [] : this.#options.config.uplinks,
      ownerOf: (veth) => this.reconciler.reader.ownerOf(veth),
      isOurProcess: this.#options.isOurProcess,
      configFile: this.#options.configFile,
    });
    this.#bus.on('synced', ({ source }) => this.#onSynced(source));
    this.#bus.on('watcherFailed', ({ source, cause, retryInMs }) => {
      this.#sources.set(source, 'failed');
      const next = retryInMs === null ? '' : `; trying again in ${retryInMs} ms`;
      this.#options.log('warning', `${source}: ${messageOf(cause)}${next}`);
    });
  }

  #onSynced(source: Source): void {
    this.#sources.set(source, 'synced');
    if (this.#ready) {
      // It was away: what happened meanwhile, it can't tell.
      this.#options.log('info', `${source}: watching again`);
      this.requestEverything();
    } else if (SOURCES.every((name) => this.#sources.get(name) === 'synced')) this.#becomeReady('heard from');
  }

  #becomeReady(how: string): void {
    if (this.#ready) return;
    const missing = SOURCES.filter((source) => this.#sources.get(source) !== 'synced');
    if (missing.length > 0) this.#options.log('warning', `${how} ${missing.join(', ')}`);
    this.#ready = true;
    this.#request();
  }

  #request(): void {
    if (this.#ready) this.#queue.request();
  }

  async #pass(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = nothingDirty();
    if (dirty.config) {
      this.#options.onConfigChanged();
      return;
    }
    const begin = performance.now();
    try {
      const outcome = await this.reconciler.reconcile(dirty);
      this.#retryMs = RETRY_MS.first;
      this.#options.onOutcome(outcome, performance.now() - begin);
    } catch (cause) {
      this.#options.log('error', `${messageOf(cause)}; trying again in ${this.#retryMs} ms`);
      this.#dirty = mergeDirty(this.#dirty, { ...dirty, resync: true });
      this.#after(this.#retryMs, () => this.#request());
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
    }
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  #every(ms: number, action: () => void): void {
    this.#timers.add(setInterval(action, ms));
  }
}
