/** What a session's passes read again and again, and go on without where it fails or hangs. */
import type { Unread, Wait } from '../commands/reading.ts';
import { containerId } from '../host/containers.ts';
import type { ContainerRef } from '../host/known-containers.ts';
import { type Log, messageOf } from '../log.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import type { Outcome } from '../pass/outcome.ts';
import { Patience, type UnreadReading, type Waiting } from '../pass/patience.ts';
import type { Waits } from '../pass/reconcile.ts';
import type { Timers } from '../timers.ts';

export interface SessionReadingsOptions {
  readonly log: Log;
  readonly timers: Timers;
  /** Asks for a pass, and gives what it is to read again. */
  readonly mark: () => DirtyParts;
  /** A comparison was put aside, or failed, some time ago. */
  readonly compareAgain: () => void;
  /** Something failed or was put aside. */
  readonly onUnread: () => void;
}

const UNSAVED = { what: 'what the next start goes by', why: 'the disk refuses it; see the log' };

/** Among thousands of containers it takes seconds. */
const COMPARISON_MS = 50;

export class SessionReadings {
  readonly #comparison: Patience;
  readonly #host: Patience;
  readonly #lxc: Patience;
  readonly #traffic: Patience;
  /** Containers that couldn't be read, by id, until they are read again. */
  readonly #unread = new Map<string, ContainerRef>();
  /** The first reason for that in this pass. */
  #why: Unread | undefined;
  /** Passes fail. */
  #failure: UnreadReading | undefined;
  /** What is to be kept isn't. */
  #unsaved: UnreadReading | undefined;

  constructor({ mark, compareAgain, ...options }: SessionReadingsOptions) {
    this.#comparison = new Patience({
      ...options,
      what: 'the comparison with the kernel',
      graceMs: COMPARISON_MS,
      again: compareAgain,
    });
    this.#host = new Patience({
      ...options,
      what: "the host's links and routes",
      again: () => {
        mark().links = 'all';
      },
    });
    this.#lxc = new Patience({
      ...options,
      what: 'which veths containers have',
      again: () => {
        const { runtimes } = mark();
        for (const [id, container] of this.#unread) runtimes.set(id, container);
        this.#unread.clear();
      },
    });
    // Nothing to mark: TrafficControl believes nothing after a reading that didn't come to its end.
    this.#traffic = new Patience({ ...options, what: 'what tc holds', again: () => void mark() });
  }

  /** What can't be read, or not in time. */
  get unread(): UnreadReading[] {
    const readings = [this.#comparison, this.#host, this.#lxc, this.#traffic].map((reading) => reading.unread);
    return [this.#failure, ...readings, this.#unsaved].flatMap((each) => each ?? []);
  }

  /** @returns whether there is news. */
  noteDisk(refuses: boolean): boolean {
    if (refuses === (this.#unsaved !== undefined)) return false;
    this.#unsaved = refuses ? { ...UNSAVED, since: new Date().toISOString() } : undefined;
    return true;
  }

  /** A pass begins, which makes a comparison or not. */
  begin(isComparing: boolean, whoWaits: () => Waiting): Waits {
    const host: Wait = (read) => this.#host.read(whoWaits, read);
    const traffic: Wait = (read) => this.#traffic.read(whoWaits, read);
    return { comparison: isComparing ? this.#comparison.begin(whoWaits) : undefined, host, traffic };
  }

  /** Found out beside passes that there is nothing to compare. */
  settleComparison(): void {
    this.#comparison.settle();
  }

  /** What of this container runs keeps being what it was. */
  note({ lxcPath, name }: ContainerRef, why: Unread): void {
    this.#unread.set(containerId(lxcPath, name), { lxcPath, name });
    this.#why ??= why;
  }

  end({ isCompared, unread }: Outcome): void {
    if (isCompared || unread !== undefined) this.#comparison.end(unread);
    this.#endContainers();
    this.#failure = undefined;
  }

  /** The pass did, and so nothing of what changed is in force. */
  fail(cause: unknown): void {
    const since = this.#failure?.since ?? new Date().toISOString();
    this.#failure = { what: 'what changed', since, why: messageOf(cause) };
    this.#comparison.stop();
    this.#endContainers();
  }

  #endContainers(): void {
    this.#lxc.end(this.#why);
    this.#why = undefined;
  }
}
