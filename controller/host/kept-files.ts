/** Policy files that are read again only where they are others than before: a resync meets thousands that are not. */
import { join } from 'node:path';
import { policyFolders } from '../../policies/policy-files.ts';
import { type KeepContent, readPolicyFiles } from '../../policies/read-policy-files.ts';
import { type FileContent, sameContent } from '../../policies/source-text.ts';
import { isLink, readContentSignature, readFolderSignature } from '../../watchers/file-signature.ts';
import type { Turn } from '../in-turns.ts';

interface Kept {
  readonly signature: string;
  readonly content: FileContent;
}

export class KeptFiles {
  #kept = new Map<string, Kept>();
  #folders = '';
  #isComplete = false;

  /** Whether all that `readAll` found is known to be the same while its files are. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether `readAll` would give what was read already, `known`; what events told of meanwhile is read again for that. */
  async isSame(folder: string, strict: boolean, known: ReadonlyMap<string, FileContent>, turn: Turn): Promise<boolean> {
    if (foldersOf(folder) !== this.#folders) return false;
    const keep: KeepContent = (file, read) => {
      const kept = this.#kept.get(file);
      return kept !== undefined && kept.signature === readContentSignature(file)?.text ? kept.content : read();
    };
    const files = await readPolicyFiles(folder, strict, keep, turn);
    return files.size === known.size && [...files].every(([path, content]) => sameContent(content, known.get(path)));
  }

  /** As readPolicyFiles. What can't be read, links, and what was changed just now are read each time. */
  async readAll(folder: string, strict: boolean): Promise<Map<string, FileContent>> {
    // Whether a file is believed depends on who can write to its folder.
    const folders = foldersOf(folder);
    const before = folders === this.#folders ? this.#kept : new Map<string, Kept>();
    const next = new Map<string, Kept>();
    const keep: KeepContent = (file, read) => {
      // Before it is read: a change meanwhile makes it another one than this.
      const signature = readContentSignature(file);
      const known = before.get(file);
      if (known !== undefined && known.signature === signature?.text) {
        next.set(file, known);
        return known.content;
      }
      const content = read();
      if (signature?.isSettled === true && content instanceof Uint8Array && !isLink(file))
        next.set(file, { signature: signature.text, content });
      return content;
    };
    const files = await readPolicyFiles(folder, strict, keep);
    this.#kept = next;
    this.#folders = folders;
    this.#isComplete = next.size === files.size;
    return files;
  }
}

const foldersOf = (folder: string): string =>
  ['', ...policyFolders].map((part) => readFolderSignature(join(folder, part))).join();
