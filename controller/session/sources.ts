/** Which sources of events have told what exists, and when that is enough for a session's first pass. */
import type { HostEventBus, Source } from '../../watchers/events.ts';
import { type Log, messageOf } from '../log.ts';

export type SourceState = 'starting' | 'synced' | 'failed';

/** Without these nothing is known for certain. A host without D-Bus is a host like any other. */
const SOURCES: readonly Source[] = ['lxc-config', 'lxc-monitor', 'ip-monitor', 'neighbour-proxies', 'policy-files'];

/** A source that is tried again only later than this is not waited for. */
const SOON_MS = 1_000;
/** Nor are these: what can't be watched can be read all the same. */
const FILES: readonly Source[] = ['lxc-config', 'policy-files'];

/** A source that can't even start must not keep the others' containers shut for ever. */
export const SYNC_PATIENCE_MS = 15_000;

export interface SourcesOptions {
  readonly log: Log;
  /** The source that tells of rules that others changed. */
  readonly rules: 'nft-monitor' | 'iptables-rules';
  /** Once: all that are waited for have told what exists. */
  readonly onReady: () => void;
  /** A source is back that was away after that: what happened meanwhile, it can't tell. */
  readonly onLacking: (source: Source) => void;
  /** One failed, or is back. */
  readonly onChanged: () => void;
  /** What tc holds is watched from now on. */
  readonly onTraffic: () => void;
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #needed: readonly Source[];
  readonly #states: Map<Source, SourceState>;
  /** They failed, and won't be tried again soon. */
  readonly #late = new Set<Source>();
  #ready = false;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#needed = [...SOURCES, options.rules];
    this.#states = new Map(this.#needed.map((source) => [source, 'starting']));
  }

  get states(): ReadonlyMap<Source, SourceState> {
    return this.#states;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  expect(source: Source): void {
    this.#states.set(source, 'starting');
  }

  leave(source: Source): void {
    this.#states.delete(source);
  }

  listen(bus: HostEventBus): void {
    bus.on('synced', ({ source }) => this.#onSynced(source));
    bus.on('watcherFailed', ({ source, cause, retryInMs }) => this.#onFailed(source, cause, retryInMs));
  }

  /** Whatever sources are still missing. */
  becomeReady(): void {
    if (this.#ready) return;
    const missing = this.#needed.filter((source) => this.#states.get(source) !== 'synced');
    if (missing.length > 0) this.#options.log('warning', `went on without ${missing.join(', ')}`);
    this.#ready = true;
    this.#options.onReady();
  }

  #onSynced(source: Source): void {
    this.#set(source, 'synced');
    this.#late.delete(source);
    if (source === 'host-bus') return;
    if (source === 'tc-monitor') this.#options.onTraffic();
    else if (this.#ready) {
      this.#options.log('info', `${source}: watching again`);
      this.#options.onLacking(source);
    } else this.#checkReady();
  }

  #onFailed(source: Source, cause: unknown, retryInMs: number | null): void {
    if (source === 'host-bus') {
      this.#states.delete(source);
      // The daemon's own service on the bus says it already.
      this.#options.log('debug', `host-bus: ${messageOf(cause)}`);
      return;
    }
    this.#set(source, 'failed');
    const next = retryInMs === null ? '' : `; trying again in ${retryInMs} ms`;
    this.#options.log('warning', `${source}: ${messageOf(cause)}${next}`);
    if (retryInMs === null || retryInMs > SOON_MS || FILES.includes(source)) this.#late.add(source);
    this.#checkReady();
  }

  #set(source: Source, state: SourceState): void {
    const isSame = this.#states.get(source) === state;
    this.#states.set(source, state);
    if (!isSame) this.#options.onChanged();
  }

  #checkReady(): void {
    const isHeard = (name: Source): boolean => this.#states.get(name) === 'synced' || this.#late.has(name);
    if (this.#needed.every(isHeard)) this.becomeReady();
  }
}
