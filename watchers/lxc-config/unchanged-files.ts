/** Tells that a configuration would be read as before, by the files that it was read from: a resync meets thousands. */
import { readContentSignature } from '../file-signature.ts';
import type { LxcFiles } from './config.ts';

/** A look at the disk by one reading; what thousands include is looked at once. */
export class SeenFiles {
  readonly #signatures = new Map<string, string | undefined>();
  readonly #isOnce: boolean;

  /** `isOnce`: nobody reads again, and so nothing is looked at, and nothing is certain. */
  constructor(isOnce = false) {
    this.#isOnce = isOnce;
  }

  /**
   * `undefined`: nothing is certain of it, since it was changed just now. Looked at before the reading that it is about, so
   * that a change meanwhile makes it another one.
   */
  signatureOf(path: string): string | undefined {
    if (this.#isOnce) return undefined;
    if (this.#signatures.has(path)) return this.#signatures.get(path);
    const found = readContentSignature(path);
    const signature = found === undefined ? 'nothing' : found.isSettled ? found.text : undefined;
    this.#signatures.set(path, signature);
    return signature;
  }
}

/** What one configuration was read from: each path as it was asked for, which may be another file than its plain text says. */
export class ReadFrom {
  readonly #paths = new Map<string, string>();
  #isCertain = true;
  #isRefused = false;

  get isCertain(): boolean {
    return this.#isCertain;
  }

  /** The kernel refused to have some of it read, for reasons that may pass by themselves. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  get paths(): Iterable<string> {
    return this.#paths.keys();
  }

  isSame(seen: SeenFiles): boolean {
    if (!this.#isCertain) return false;
    for (const [path, signature] of this.#paths) if (seen.signatureOf(path) !== signature) return false;
    return true;
  }

  /** `files`, with each question to it noted. */
  noting(files: LxcFiles, seen: SeenFiles): LxcFiles {
    return {
      read: (file) => this.#note(file, seen, files.read),
      list: (folder) => this.#note(folder, seen, files.list),
    };
  }

  #note<T>(path: string, seen: SeenFiles, ask: (path: string) => T): T {
    const signature = seen.signatureOf(path);
    if (signature === undefined) this.#isCertain = false;
    else this.#paths.set(path, signature);
    try {
      return ask(path);
    } catch (cause) {
      // Why it can't be read is no matter of the file alone.
      this.#isCertain = false;
      if (cause instanceof Error && 'code' in cause) this.#isRefused = true;
      throw cause;
    }
  }
}
