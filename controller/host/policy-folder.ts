/** The policy folder's files, read again where events tell of them. */
import { join, relative } from 'node:path';
import { CONTAINERS, isPolicyFileName, type PolicyFiles, policyFolders } from '../../policies/policy-files.ts';
import { isStrict, wasRefused } from '../../policies/read-file.ts';
import { readPolicyFile, readPolicyFiles } from '../../policies/read-policy-files.ts';
import { type FileContent, sameContent } from '../../policies/source-text.ts';
import { changeMap } from '../../render/shared-map.ts';
import { readFolderSignature } from '../../watchers/file-signature.ts';
import type { Turn } from '../in-turns.ts';
import { KeptFiles } from './kept-files.ts';

export class PolicyFolder {
  readonly #folder: string;
  readonly #isOnce: boolean;
  readonly #kept = new KeptFiles();
  #files: PolicyFiles | undefined;
  readonly #refused = new Set<string>();
  #isMissing = false;

  /** `isOnce`: nobody reads again, and so it isn't noted by what files could be known again. */
  constructor(folder: string, isOnce = false) {
    this.#folder = folder;
    this.#isOnce = isOnce;
  }

  /** When they were last read; `undefined` before. No map of these is ever changed. */
  get files(): PolicyFiles | undefined {
    return this.#files;
  }

  /** Absolute paths of files that the kernel refused to have read; see `wasRefused`. */
  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  /** It was away, or became another one, while its files were read. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  /** Whether all of it is known to be the same while its files are. */
  get isCertain(): boolean {
    return this.#kept.isComplete && !this.#isMissing;
  }

  /** The policy folder itself, and those of its folders that hold policy files. */
  get folders(): string[] {
    return ['', ...policyFolders].map((part) => join(this.#folder, part));
  }

  /**
   * `some`: absolute paths; without them the whole folder. A hook has its container's file read at each start, a resync all.
   * @returns the same map where nothing changed, so that nobody compiles from it again.
   */
  async read(some?: Iterable<string>): Promise<PolicyFiles> {
    const containers = join(this.#folder, CONTAINERS);
    const before = readFolderSignature(containers);
    // What was read without the folder says nothing about the files that nobody tells of now that it is back.
    const files = some === undefined || this.#isMissing ? await this.#readAll() : this.#readSome(some);
    this.#files = files;
    this.#isMissing = before === undefined || before !== readFolderSignature(containers);
    return files;
  }

  /** Whether the files say what was read of them; `false` as well where that can't be told. */
  async isAsRead(turn: Turn): Promise<boolean> {
    if (this.#files === undefined || this.#isMissing) return false;
    return await this.#kept.isSame(this.#folder, isStrict(), this.#files, turn);
  }

  async #readAll(): Promise<PolicyFiles> {
    const read = await (this.#isOnce
      ? readPolicyFiles(this.#folder, isStrict())
      : this.#kept.readAll(this.#folder, isStrict()));
    this.#refused.clear();
    for (const [path, content] of read) this.#noteRefused(path, content);
    const before = this.#files;
    return before !== undefined && isSameFiles(read, before) ? before : read;
  }

  #readSome(files: Iterable<string>): PolicyFiles {
    const before = this.#files ?? NONE;
    const changes = new Map<string, FileContent | undefined>();
    for (const file of files) {
      const path = relative(this.#folder, file);
      if (!isPolicyFileName(path)) continue;
      const content = readPolicyFile(this.#folder, path, isStrict());
      this.#noteRefused(path, content);
      const isSame = content === undefined ? !before.has(path) : sameContent(content, before.get(path));
      if (isSame) changes.delete(path);
      else changes.set(path, content);
    }
    return changes.size === 0 ? before : changeMap(before, changes);
  }

  #noteRefused(path: string, content: FileContent | undefined): void {
    const file = join(this.#folder, path);
    if (wasRefused(content)) this.#refused.add(file);
    else this.#refused.delete(file);
  }
}

const NONE: PolicyFiles = new Map();

const isSameFiles = (read: PolicyFiles, before: PolicyFiles): boolean =>
  read.size === before.size && [...read].every(([path, content]) => sameContent(content, before.get(path)));
