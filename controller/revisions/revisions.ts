/**
 * Which texts are in force. Files that change are followed (`autoApply`), or wait for `apply`; what waits for `confirm` is
 * taken back in time; what was taken back is not followed again until it changes. docs/changing-policies.md tells it to users.
 */
import { timeText } from '../../policies/moment.ts';
import { CONTAINERS, type PolicyFiles } from '../../policies/policy-files.ts';
import { type Log, messageOf } from '../log.ts';
import type { DurableDisk } from '../state/durable-disk.ts';
import { type Clock, dueIn, timeLeft } from './due.ts';
import type { Unconfirmed } from './journal.ts';
import { allPaths, diffFiles, digestOf, type RevisionRecord } from './revision.ts';
import { RevisionBook, UNKNOWN_FILES } from './revision-book.ts';
import type { Revision } from './revision-store.ts';
import type { RevisionView, WaitingReason } from './revision-view.ts';

export type Order =
  | { readonly kind: 'apply'; readonly confirmSeconds: number | undefined; readonly by: string }
  | { readonly kind: 'confirm' }
  /** `undefined`: to what was in force before. */
  | { readonly kind: 'rollback'; readonly to: number | undefined; readonly by: string };

/** The order makes no sense now; the message says what would. Nothing was changed. */
export class OrderRefused extends Error {
  override readonly name = 'OrderRefused';
}

/** What a pass compiles from. */
export interface Choice {
  readonly files: PolicyFiles;
  /** In force until somebody confirms it or it is taken back: nothing of it may be kept for later. */
  readonly isUnconfirmed: boolean;
  /** What was enforced until now was taken or rolled back: none of it counts as a container's last good policy. */
  readonly isReturn: boolean;
  /** No revision can be read any more: nothing may pass, whatever a missing policy stands for. */
  readonly isLost: boolean;
  /** Why the order that came along was not carried out; everything is as it was. */
  readonly refusal: Error | undefined;
}

export interface Following {
  readonly autoApply: boolean;
  /** The folder of the containers' policies is away: a disk that isn't mounted, or a moment within a rename. */
  readonly isFolderMissing: boolean;
}

export interface RevisionsOptions {
  /** Holds the revisions and the journal. */
  readonly folder: string;
  readonly disk: DurableDisk;
  readonly clock: Clock;
  readonly log: Log;
  /** Before something unconfirmed comes into force: what the next boot loads is to be what is in force now. */
  readonly beforeUnconfirmed: () => Promise<void>;
  /** The time for the confirmation has passed: a pass is due. */
  readonly onDue: () => void;
}

const NO_FILES: PolicyFiles = new Map();
/** What to make in place of a folder that is missing. */
export const NO_POLICIES = 'an empty one says that there are no policies';

export class Revisions {
  readonly #options: RevisionsOptions;
  readonly book: RevisionBook;
  /** What the last pass was told, be it kept as a revision or not. */
  #files: PolicyFiles | undefined;
  #view: RevisionView = { inForce: null, autoApply: true, unconfirmed: null, waiting: [], reason: null };
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: RevisionsOptions) {
    this.#options = options;
    this.book = new RevisionBook({ ...options, now: () => options.clock.now() });
  }

  get view(): RevisionView {
    return this.#view;
  }

  async open(): Promise<void> {
    await this.book.open();
    this.#files = this.book.current?.files;
    this.#arm();
  }

  /** To be asked by each pass. `disk`: the files as they are, in a map that never changes. */
  async choose(disk: PolicyFiles, following: Following, order?: Order): Promise<Choice> {
    const { autoApply } = following;
    const { unconfirmed, refused } = this.book.journal;
    // A start of a container doesn't wait until an edit has been kept.
    const isSettled = unconfirmed === null && refused === null && !this.book.isRefused;
    const isPlain = autoApply && order === undefined && isSettled && !following.isFolderMissing;
    return isPlain
      ? this.#settle(disk, autoApply, null)
      : this.#exclusively(() => this.#decide(disk, following, order));
  }

  /** Keeps what is followed as a revision, once it is in force. @returns it, where there was something to keep. */
  async keep(): Promise<RevisionRecord | undefined> {
    return await this.#exclusively(() => this.#keep());
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #decide(disk: PolicyFiles, following: Following, order: Order | undefined): Promise<Choice> {
    let isReturn = false;
    let refusal: Error | undefined;
    await this.book.save();
    if (this.#isDue()) isReturn = await this.#takeBack(disk);
    try {
      if (order !== undefined && (await this.#carryOut(order, disk, this.#isLostFolder(following)))) isReturn = true;
    } catch (cause) {
      refusal = cause instanceof Error ? cause : new Error(String(cause));
    }
    const reason = await this.#reasonToWait(disk, following);
    return { ...this.#settle(disk, following.autoApply, reason), isReturn, refusal };
  }

  /** Policies that were in force and can't all have been deleted on purpose: that leaves an empty folder. */
  #isLostFolder({ isFolderMissing }: Following): boolean {
    return isFolderMissing && hasContainers(this.#files ?? NO_FILES);
  }

  #settle(disk: PolicyFiles, autoApply: boolean, reason: WaitingReason | null): Choice {
    const { isLost, journal } = this.book;
    if (reason === null) this.#files = disk;
    const files = this.#files ?? NO_FILES;
    const waiting = files === disk || digestOf(files) === digestOf(disk) ? [] : allPaths(diffFiles(files, disk));
    const { inForce, unconfirmed } = journal;
    this.#view = {
      ...{ inForce, autoApply, waiting, reason: waiting.length === 0 ? null : reason },
      unconfirmed: unconfirmed && {
        ...{ revision: unconfirmed.revision, previous: unconfirmed.previous, until: unconfirmed.due.at },
      },
    };
    const isUnconfirmed = unconfirmed !== null;
    return { files, isUnconfirmed, isLost: isLost && reason !== null, isReturn: false, refusal: undefined };
  }

  /** `null`: the files are followed. */
  async #reasonToWait(disk: PolicyFiles, following: Following): Promise<WaitingReason | null> {
    const { autoApply } = following;
    if (this.book.journal.unconfirmed !== null) return 'confirm';
    if (this.#isLostFolder(following)) return 'missing';
    if (this.book.journal.refused === UNKNOWN_FILES) await this.book.refuse(digestOf(disk));
    const { refused } = this.book.journal;
    if (refused === digestOf(disk)) return 'refused';
    if (refused !== null && autoApply) await this.book.refuse(null);
    if (autoApply) return null;
    // The first start: there is nothing else to begin with.
    if (!this.book.isLost) this.#files ??= disk;
    // What was followed until now stays in force, also across a restart.
    await this.#keep().catch((cause: unknown) => this.#options.log('error', `revisions: ${messageOf(cause)}`));
    return 'apply';
  }

  /** @returns whether what was in force before was taken back. */
  async #carryOut(order: Order, disk: PolicyFiles, isFolderLost: boolean): Promise<boolean> {
    switch (order.kind) {
      case 'apply':
        if (isFolderLost) throw new OrderRefused(`${CONTAINERS}/ is missing: ${NO_POLICIES}`);
        await this.#apply(order, disk);
        return false;
      case 'confirm':
        await this.#confirm();
        return false;
      case 'rollback':
        return await this.#rollBack(order, disk);
    }
  }

  async #apply({ confirmSeconds, by }: Order & { kind: 'apply' }, disk: PolicyFiles): Promise<void> {
    const { journal } = this.book;
    if (journal.unconfirmed !== null) throw new OrderRefused(waits(journal.unconfirmed));
    await this.#keep();
    const before = this.book.current;
    if (before?.record.digest === digestOf(disk)) return await this.book.refuse(null);
    if (confirmSeconds === undefined) {
      const revision = await this.book.add({ how: 'apply', by }, disk);
      await this.#enter(revision, { refused: null });
      return await this.book.prune();
    }
    if (before === undefined)
      throw new OrderRefused('there is no earlier revision to go back to: apply without --confirm');
    await this.#options.beforeUnconfirmed();
    const revision = await this.book.add({ how: 'apply', by, confirmation: 'waiting' }, disk);
    const { number } = revision.record;
    const due = dueIn(confirmSeconds, this.#options.clock);
    await this.#enter(revision, {
      refused: null,
      unconfirmed: { revision: number, previous: before.record.number, by, due },
    });
    this.#arm();
  }

  async #confirm(): Promise<void> {
    const { journal } = this.book;
    if (journal.unconfirmed === null) throw new OrderRefused('nothing waits for a confirmation');
    await this.book.write({ ...journal, unconfirmed: null });
    this.#arm();
    await this.book.amend(journal.unconfirmed.revision, { confirmation: 'confirmed' });
    await this.book.prune();
  }

  async #rollBack({ to, by }: Order & { kind: 'rollback' }, disk: PolicyFiles): Promise<boolean> {
    const { unconfirmed } = this.book.journal;
    if (unconfirmed !== null) {
      if (to !== undefined && to !== unconfirmed.previous) throw new OrderRefused(waits(unconfirmed));
      return await this.#takeBack(disk);
    }
    await this.#keep();
    const number = to ?? (await this.book.before());
    if (number === undefined) throw new OrderRefused('there is no earlier revision to go back to');
    const target = await this.book.store.read(number).catch((cause: unknown) => {
      throw new OrderRefused(`${messageOf(cause)}; routewall history lists them`, { cause });
    });
    const refused = digestOf(disk) === target.record.digest ? null : digestOf(disk);
    if (target.record.digest === this.book.current?.record.digest) {
      await this.book.refuse(refused);
      return false;
    }
    const revision = await this.book.add({ how: 'rollback', by, of: number }, target.files, target);
    await this.#enter(revision, { refused });
    await this.book.prune();
    return true;
  }

  async #enter(
    revision: Revision,
    { refused, unconfirmed = null }: { readonly refused: string | null; readonly unconfirmed?: Unconfirmed | null },
  ): Promise<void> {
    await this.book.write({ inForce: revision.record.number, refused, unconfirmed }, revision);
    this.#files = revision.files;
  }

  async #takeBack(disk: PolicyFiles): Promise<boolean> {
    await this.book.takeBack(digestOf(disk));
    this.#files = this.book.current?.files;
    this.#arm();
    return true;
  }

  async #keep(): Promise<RevisionRecord | undefined> {
    const { journal, current, isLost } = this.book;
    const files = this.#files;
    if (files === undefined || isLost || journal.unconfirmed !== null) return undefined;
    if (digestOf(files) === current?.record.digest) return undefined;
    const how = current === undefined ? 'first' : 'edited';
    const revision = await this.book.add({ how, by: 'edited files' }, files);
    await this.book.write({ ...journal, inForce: revision.record.number }, revision);
    this.#view = { ...this.#view, inForce: revision.record.number };
    await this.book.prune();
    return revision.record;
  }

  #isDue(): boolean {
    const { unconfirmed } = this.book.journal;
    return unconfirmed !== null && timeLeft(unconfirmed.due, this.#options.clock) <= 0;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { unconfirmed } = this.book.journal;
    if (unconfirmed === null) return;
    const left = Math.max(0, Math.ceil(timeLeft(unconfirmed.due, this.#options.clock)));
    this.#timer = setTimeout(() => (this.#isDue() ? this.#options.onDue() : this.#arm()), left);
  }

  /** The journal and the revisions are one state: one change at a time. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }
}

export const hasContainers = (files: PolicyFiles): boolean =>
  [...files.keys()].some((path) => path.startsWith(`${CONTAINERS}/`));

const waits = ({ revision, due }: Unconfirmed): string =>
  `revision ${revision} waits for routewall confirm until ${timeText(due.at)}: confirm it first, or take it back with routewall rollback`;
