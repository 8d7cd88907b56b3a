/** The kept revisions and the journal, as one state: in memory as on the disk. */
import { join } from 'node:path';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { type Log, messageOf } from '../log.ts';
import type { DurableDisk } from '../state/durable-disk.ts';
import { isLack, unlessLack } from '../state/lack.ts';
import { EMPTY_JOURNAL, type Journal, readJournal, writeJournal } from './journal.ts';
import { diffFiles, digestOf, type RevisionRecord } from './revision.ts';
import { type Revision, RevisionStore } from './revision-store.ts';

export interface BookOptions {
  /** Holds the revisions and the journal. */
  readonly folder: string;
  readonly disk: DurableDisk;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/** Stands for the files as they will be read first. */
export const UNKNOWN_FILES = '?';

const NO_FILES: PolicyFiles = new Map();

type Told = Pick<RevisionRecord, 'how' | 'by'> & Partial<Pick<RevisionRecord, 'of' | 'confirmation'>>;

export class RevisionBook {
  readonly #options: BookOptions;
  readonly store: RevisionStore;
  #journal: Journal = EMPTY_JOURNAL;
  #current: Revision | undefined;
  #isLost = false;
  /** What is known here isn't on the disk, which refused it. */
  #isRefused = false;

  constructor(options: BookOptions) {
    this.#options = options;
    this.store = new RevisionStore(options.folder, options.disk);
  }

  get journal(): Journal {
    return this.#journal;
  }

  /** The revision in force; where files are followed, the last one that was kept. */
  get current(): Revision | undefined {
    return this.#current;
  }

  /** There were revisions, and none of them can be read. */
  get isLost(): boolean {
    return this.#isLost;
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Tries again what the disk refused. */
  async save(): Promise<void> {
    if (this.#isRefused) await this.#tryToWrite(this.#journal);
  }

  /** Learns what an earlier run left. @throws Error for lack of means to read it: to take that for a damage would stay. */
  async open(): Promise<void> {
    // A disk that can't be written may still be read: what is in force has to be enforced all the same.
    await this.store.open().catch((cause: unknown) => this.#complain(cause, 'what a crash left unfinished stays'));
    const numbers = await this.store.numbers();
    try {
      const journal = await readJournal(this.#file);
      if (journal === undefined && numbers.length > 0) throw new Error(`${this.#file} is gone`);
      if (journal?.inForce === null && numbers.length > 0) throw new Error(`${this.#file} names no revision`);
      this.#journal = journal ?? EMPTY_JOURNAL;
      if (this.#journal.inForce !== null) this.#current = await this.store.read(this.#journal.inForce);
    } catch (cause) {
      if (isLack(cause)) throw cause;
      // What was unconfirmed or refused is not known any more: neither that nor the files as they are come into force.
      this.#complain(cause, 'files are not followed until they change or are applied');
      await this.#enterNewest(undefined, UNKNOWN_FILES);
    }
  }

  /** @throws Error when the disk refuses: nothing has changed then. */
  async write(journal: Journal, current = this.#current): Promise<void> {
    await writeJournal(this.#options.disk, this.#file, journal);
    this.#isRefused = false;
    this.#journal = journal;
    this.#current = current;
    this.#isLost &&= current === undefined;
  }

  /** Files are followed again, or refused from now on. Where the disk takes none of it, this run knows all the same. */
  async refuse(refused: string | null): Promise<void> {
    if (this.#journal.refused !== refused) await this.#tryToWrite({ ...this.#journal, refused });
    if (refused === null) this.#isLost = false;
  }

  /** Numbers go up, also across what was removed since. Not in force before `write`. */
  async add(told: Told, files: PolicyFiles, base = this.#current): Promise<Revision> {
    const record: RevisionRecord = {
      ...{ of: null, confirmation: null, ...told },
      number: Math.max(0, ...(await this.store.numbers())) + 1,
      at: new Date(this.#options.now()).toISOString(),
      files: diffFiles(this.#current?.files ?? NO_FILES, files),
      flows: null,
      broken: null,
      digest: digestOf(files),
      unreadable: Object.fromEntries(
        [...files].flatMap(([path, content]) => (content instanceof Error ? [[path, content.message]] : [])),
      ),
    };
    return await this.store.add(record, files, base);
  }

  /** Adds what became known of a revision; that it couldn't be is no reason to fail. */
  async amend(
    number: number,
    change: Partial<Pick<RevisionRecord, 'flows' | 'broken' | 'confirmation'>>,
  ): Promise<void> {
    try {
      const record = { ...(await this.store.readRecord(number)), ...change };
      await this.store.amend(record);
      if (this.#current?.record.number === number) this.#current = { ...this.#current, record };
    } catch (cause) {
      this.#options.log('warning', `revisions: ${messageOf(cause)}`);
    }
  }

  /** Whatever the disk says: what nobody confirmed doesn't stay in force. `refused`: of the files as they are. */
  async takeBack(refused: string): Promise<void> {
    const { unconfirmed } = this.#journal;
    if (unconfirmed === null) return;
    const { revision, previous } = unconfirmed;
    try {
      this.#current = await this.store.read(previous);
      const isSame = this.#current.record.digest === refused;
      await this.#tryToWrite({ inForce: previous, refused: isSame ? null : refused, unconfirmed: null });
    } catch (cause) {
      // It is taken back by the next pass that can.
      if (isLack(cause)) throw cause;
      this.#complain(cause, 'an older one takes its place');
      await this.#enterNewest(revision, refused);
    }
    await this.amend(revision, { confirmation: 'taken-back' });
    const inForce = this.#journal.inForce === null ? 'nothing' : `revision ${this.#journal.inForce}`;
    this.#options.log('warning', `revision ${revision} was not confirmed and is taken back: ${inForce} is in force`);
  }

  /** The revision that was in force before, where a rollback counts as the one that it went to. */
  async before(): Promise<number | undefined> {
    const current = this.#current?.record;
    const from = current?.of ?? current?.number ?? Number.POSITIVE_INFINITY;
    for (const number of (await this.store.numbers()).reverse()) {
      if (number >= from) continue;
      const record = await this.store.readRecord(number).catch(unlessLack(undefined));
      if (record === undefined || record.confirmation === 'taken-back' || record.digest === current?.digest) continue;
      return record.of ?? number;
    }
    return undefined;
  }

  async prune(): Promise<void> {
    const { inForce, unconfirmed } = this.#journal;
    const kept = [inForce, unconfirmed?.previous].flatMap((number) => number ?? []);
    await this.store.prune(new Set(kept)).catch((cause: unknown) => this.#complain(cause, 'old ones stay'));
  }

  get #file(): string {
    return join(this.#options.folder, 'journal.json');
  }

  /** The newest that is whole, and neither was taken back nor waits for its confirmation. */
  async #enterNewest(except: number | undefined, refused: string): Promise<void> {
    this.#current = undefined;
    for (const number of (await this.store.numbers()).reverse()) {
      const revision = number === except ? undefined : await this.store.read(number).catch(unlessLack(undefined));
      const confirmation = revision?.record.confirmation;
      if (revision === undefined || confirmation === 'waiting' || confirmation === 'taken-back') continue;
      this.#current = revision;
      break;
    }
    this.#isLost = this.#current === undefined;
    if (this.#isLost) this.#complain(new Error('none can be read'), 'nothing passes until files change or are applied');
    await this.#tryToWrite({ inForce: this.#current?.record.number ?? null, refused, unconfirmed: null });
  }

  async #tryToWrite(journal: Journal): Promise<void> {
    this.#journal = journal;
    try {
      await writeJournal(this.#options.disk, this.#file, journal);
      this.#isRefused = false;
    } catch (cause) {
      this.#isRefused = true;
      this.#complain(cause, 'until there is room, a restart may not know which one is in force');
    }
  }

  #complain(cause: unknown, consequence: string): void {
    this.#options.log('error', `revisions: ${messageOf(cause)}; ${consequence}`);
  }
}
