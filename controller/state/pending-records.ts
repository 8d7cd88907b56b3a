/** What is to be written to many files, first written to one, so that a crash between them loses nothing of it. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessLack } from './lack.ts';
import { type Memento, mementoFrom, parseMemento } from './memento.ts';

/** A name and its record; `null`: there shall be none. */
export type PendingRecord = readonly [name: string, memento: Memento | null];

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

  /** What an earlier run didn't come to write; the last of a name counts. @throws Error for lack of means to read it. */
  async open(): Promise<ReadonlyMap<string, Memento | null>> {
    const names = await readdir(this.#folder).catch(unlessLack<string[]>([]));
    for (const name of names)
      if (CUT_SHORT.test(name)) await rm(join(this.#folder, name), { force: true }).catch(() => undefined);
    const numbers = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number);
    const records = new Map<string, Memento | null>();
    for (const number of numbers.sort((one, other) => one - other)) {
      this.#number = number;
      this.#files.add(this.#path(number));
      const text = await readFile(this.#path(number), 'utf8').catch(unlessLack(''));
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
      await writeFile(`${path}.new`, renderRecords(records), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (cause) {
      // Else each attempt would leave a part, under another name, on a disk that is full already.
      await rm(`${path}.new`, { force: true });
      throw cause;
    }
    // Not before it is there: a clear that came between would leave a file that nobody knows of.
    this.#files.add(path);
  }

  /** When all that was kept is written. What is kept meanwhile stays. */
  async clear(): Promise<void> {
    for (const path of [...this.#files]) {
      await rm(path, { force: true });
      this.#files.delete(path);
    }
  }

  #path(number: number): string {
    return join(this.#folder, `pending-${number}`);
  }
}

/**
 * What many have in common stands in it once, and in each by its place: an edit's rules wait until all is written. As text at once,
 * since of a thousand records most is the same.
 */
function renderRecords(records: readonly PendingRecord[]): string {
  const places = new Map<unknown, number>();
  const entry = ([key, value]: readonly [string, unknown]): string => {
    const place = places.get(value) ?? places.size;
    places.set(value, place);
    return `${JSON.stringify(key)}:${place}`;
  };
  const known = new Map<ReadonlyMap<string, unknown>, string>();
  const entries = (part: ReadonlyMap<string, unknown>): string => {
    const text = known.get(part) ?? [...part].map(entry).join();
    known.set(part, text);
    return text;
  };
  const record = ({ own, files, containers, groups }: Memento): string => {
    const used = entries(files);
    const first = own === undefined ? '' : `${entry(own)}${used === '' ? '' : ','}`;
    return `{"files":{${first}${used}},"containers":{${entries(containers)}},"groups":{${entries(groups)}}}`;
  };
  const texts = records.map(
    ([name, memento]) => `[${JSON.stringify(name)},${memento === null ? null : record(memento)}]`,
  );
  return `{"records":[${texts.join()}],"shared":${JSON.stringify([...places.keys()])}}`;
}

function parseRecords(text: string): PendingRecord[] {
  try {
    const json: unknown = JSON.parse(text);
    // As releases before this one wrote it: each record is a text of its own.
    if (Array.isArray(json)) return json.flatMap((entry) => recordFrom(entry, textMemento));
    const { records, shared } = listsOf(json);
    return records.flatMap((entry) => recordFrom(entry, (record) => sharedMemento(record, shared)));
  } catch {
    // Damaged: the records themselves are still there.
    return [];
  }
}

function listsOf(json: unknown): { readonly records: readonly unknown[]; readonly shared: readonly unknown[] } {
  const list = (key: string): readonly unknown[] => {
    const part: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, key) : undefined;
    return Array.isArray(part) ? part : [];
  };
  return { records: list('records'), shared: list('shared') };
}

function recordFrom(entry: unknown, read: (record: unknown) => Memento | undefined): PendingRecord[] {
  const [name, record]: unknown[] = Array.isArray(entry) ? entry : [];
  if (typeof name !== 'string') return [];
  const memento = record === null ? null : read(record);
  return memento === undefined ? [] : [[name, memento]];
}

const textMemento = (record: unknown): Memento | undefined =>
  typeof record === 'string' ? parseMemento(record) : undefined;

/** One without a part of it would be another policy. */
function sharedMemento(record: unknown, shared: readonly unknown[]): Memento | undefined {
  if (typeof record !== 'object' || record === null) return undefined;
  const parts = Object.entries(record).map(([key, part]: [string, unknown]) => {
    const entries: [string, unknown][] = Object.entries(typeof part === 'object' && part !== null ? part : {});
    return [key, entries.map(([name, place]): [string, unknown] => [name, shared[Number(place)]])] as const;
  });
  if (parts.some(([, entries]) => entries.some(([, value]) => value === undefined))) return undefined;
  return mementoFrom(Object.fromEntries(parts.map(([key, entries]) => [key, Object.fromEntries(entries)])));
}
