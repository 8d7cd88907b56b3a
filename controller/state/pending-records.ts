/** What is to be written to many files, first written to one, so that a crash between them loses nothing of it. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A name and its record; `null`: there shall be none. */
export type PendingRecord = readonly [name: string, text: string | null];

const FILE = /^pending-(\d+)$/;
const CUT_SHORT = /^pending-\d+\.new$/;

/** A later one holds all that an earlier one does and isn't done yet, so that one that stays by mistake harms nothing. */
export class PendingRecords {
  readonly #folder: string;
  readonly #files = new Set<string>();
  #number = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** What an earlier run didn't come to write; the last of a name counts. */
  async open(): Promise<ReadonlyMap<string, string | null>> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names)
      if (CUT_SHORT.test(name)) await rm(join(this.#folder, name), { force: true }).catch(() => undefined);
    const numbers = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number);
    const records = new Map<string, string | null>();
    for (const number of numbers.sort((one, other) => one - other)) {
      this.#number = number;
      this.#files.add(this.#path(number));
      const text = await readFile(this.#path(number), 'utf8').catch(() => '');
      for (const [name, record] of parseRecords(text)) records.set(name, record);
    }
    return records;
  }

  /** On the disk when it returns. */
  async keep(records: readonly PendingRecord[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = this.#path(++this.#number);
    // Renamed into place: what a crash cuts short is nobody's record.
    try {
      await writeFile(`${path}.new`, JSON.stringify(records), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (cause) {
      // Else each attempt would leave a part, under another name, on a disk that is full already.
      await rm(`${path}.new`, { force: true });
      throw cause;
    }
    // Not before it is there: a clear that came between would leave a file that nobody knows of.
    this.#files.add(path);
  }

  /** When all that was kept is written. */
  async clear(): Promise<void> {
    for (const path of this.#files) {
      await rm(path, { force: true });
      this.#files.delete(path);
    }
  }

  #path(number: number): string {
    return join(this.#folder, `pending-${number}`);
  }
}

function parseRecords(text: string): PendingRecord[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Damaged: the records themselves are still there.
    return [];
  }
  if (!Array.isArray(json)) return [];
  return json.flatMap((entry: unknown): PendingRecord[] => {
    const [name, record]: unknown[] = Array.isArray(entry) ? entry : [];
    return typeof name === 'string' && (typeof record === 'string' || record === null) ? [[name, record]] : [];
  });
}
