/**
 * The revisions as plain files:
 *
 *     revisions/7/revision.json        when, by whom, what changed
 *     revisions/7/policies/containers/web.yaml
 *
 * A revision is complete once its folder has its number for a name. A text that is the same as in the revision before is
 * a hard link to it, so that an edit among 10,000 files writes one.
 */
import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isPolicyFileName, type PolicyFiles, policyFolders } from '../../policies/policy-files.ts';
import { readPolicyFiles } from '../../policies/read-policy-files.ts';
import { type FileContent, sameContent } from '../../policies/source-text.ts';
import { errorCode } from '../../watchers/error-code.ts';
import { forEachLimited } from '../commands/for-each-limited.ts';
import { parseJson } from '../json-shape.ts';
import type { DurableDisk } from '../state/durable-disk.ts';
import { replaceFile } from '../state/durable-disk.ts';
import { isLack } from '../state/lack.ts';
import { digestOf, parseRevision, type RevisionRecord } from './revision.ts';

export interface Revision {
  readonly record: RevisionRecord;
  readonly files: PolicyFiles;
}

/** Enough to find last week's; the newest and those in force are never among what goes. */
export const KEPT_REVISIONS = 50;

const RECORD = 'revision.json';
const POLICIES = 'policies';
const PARALLEL = 16;

export class RevisionStore {
  readonly #folder: string;
  readonly #disk: DurableDisk;

  constructor(folder: string, disk: DurableDisk) {
    this.#folder = folder;
    this.#disk = disk;
  }

  /** What a crash left unfinished goes. */
  async open(): Promise<void> {
    await this.#disk.makeFolder(this.#folder);
    for (const { name } of await readdir(this.#folder, { withFileTypes: true })) {
      if (/^[0-9]+[.](new|old)$/.test(name)) await this.#disk.remove(join(this.#folder, name));
    }
  }

  /** In order; whether they can be read is another question. */
  async numbers(): Promise<number[]> {
    try {
      return numbersOf(await readdir(this.#folder, { withFileTypes: true }));
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT') return [];
      throw cause;
    }
  }

  /** `base`: the revision to share equal texts with. @throws Error when the disk refuses; nothing is changed then. */
  async add(record: RevisionRecord, files: PolicyFiles, base?: Revision): Promise<Revision> {
    const temporary = join(this.#folder, `${record.number}.new`);
    await this.#disk.remove(temporary);
    try {
      await this.#write(temporary, record, files, base);
    } catch (cause) {
      // A disk that is full is left no fuller.
      await this.#disk.remove(temporary).catch(() => undefined);
      throw cause;
    }
    await this.#disk.rename(temporary, join(this.#folder, String(record.number)));
    await this.#disk.syncFolder(this.#folder);
    return { record, files };
  }

  async #write(temporary: string, record: RevisionRecord, files: PolicyFiles, base?: Revision): Promise<void> {
    await this.#disk.makeFolder(join(temporary, POLICIES));
    for (const folder of policyFolders) await this.#disk.makeFolder(join(temporary, POLICIES, folder));
    const readable = [...files].filter(
      (entry): entry is [string, Exclude<FileContent, Error>] => !(entry[1] instanceof Error),
    );
    await forEachLimited(readable, PARALLEL, ([path, content]) => this.#store(temporary, path, content, base));
    await this.#disk.write(join(temporary, RECORD), renderRecord(record));
    for (const folder of [...policyFolders, '.']) await this.#disk.syncFolder(join(temporary, POLICIES, folder));
    await this.#disk.syncFolder(temporary);
  }

  async #store(
    temporary: string,
    path: string,
    content: string | Uint8Array,
    base: Revision | undefined,
  ): Promise<void> {
    const target = join(temporary, POLICIES, path);
    if (base !== undefined && sameContent(content, base.files.get(path))) {
      try {
        return await this.#disk.link(join(this.#folder, String(base.record.number), POLICIES, path), target);
      } catch (cause) {
        // Gone meanwhile, or a file system without links.
        if (!(cause instanceof Error) || !('code' in cause)) throw cause;
      }
    }
    await this.#disk.write(target, content);
  }

  /** What became known later, or changed: the flows, and the confirmation. */
  async amend(record: RevisionRecord): Promise<void> {
    await replaceFile(this.#disk, join(this.#folder, String(record.number), RECORD), renderRecord(record));
  }

  /** @throws Error for one that isn't there, or isn't what was written. */
  async read(number: number): Promise<Revision> {
    const folder = join(this.#folder, String(number));
    const record = await this.readRecord(number);
    const files = new Map<string, FileContent>(await readPolicyFiles(join(folder, POLICIES)));
    for (const [path, reason] of Object.entries(record.unreadable)) {
      if (isPolicyFileName(path)) files.set(path, new Error(reason));
    }
    for (const content of files.values())
      if (isLack(content)) throw new Error(`revision ${number}`, { cause: content });
    if (digestOf(files) !== record.digest)
      throw new Error(`revision ${number}: its texts are not those that were kept`);
    return { record, files };
  }

  /** @throws Error */
  async readRecord(number: number): Promise<RevisionRecord> {
    try {
      const record = parseRevision(parseJson(await readFile(join(this.#folder, String(number), RECORD), 'utf8')));
      if (record.number !== number) throw new Error(`it says that it is revision ${record.number}`);
      return record;
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT') {
        // Which file would have been its own says nothing more.
        throw new Error(`there is no revision ${number}`);
      }
      throw new Error(`revision ${number}`, { cause });
    }
  }

  /** Removes the oldest beyond the bound. */
  async prune(keep: ReadonlySet<number>): Promise<void> {
    const old = (await this.numbers()).slice(0, -KEPT_REVISIONS).filter((number) => !keep.has(number));
    for (const number of old) {
      const doomed = join(this.#folder, `${number}.old`);
      // Renamed first: what is half removed must not have a revision's name.
      await this.#disk.rename(join(this.#folder, String(number)), doomed);
      await this.#disk.remove(doomed);
    }
  }
}

const numbersOf = (entries: readonly Dirent[]): number[] =>
  entries
    .filter((entry) => entry.isDirectory() && /^[1-9][0-9]{0,9}$/.test(entry.name))
    .map(({ name }) => Number(name))
    .sort((a, b) => a - b);

const renderRecord = (record: RevisionRecord): string => `${JSON.stringify(record, null, 2)}\n`;
