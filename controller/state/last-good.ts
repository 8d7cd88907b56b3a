/**
 * The last good policy of each container, kept across restarts as the texts that it was compiled from: reading it
 * back goes through the same checks as the user's own files.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAddressBook } from '../../policies/address-book.ts';
import { type CompiledPolicy, compilePolicy } from '../../policies/compile-policy.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { changedKeys } from '../../render/shared-map.ts';
import { forEachLimited } from '../commands/for-each-limited.ts';
import type { ContainerPolicy } from '../pass/choose-policies.ts';
import { unlessLack } from './lack.ts';
import { createMementos, filesOf, type Memento, parseMemento, renderMemento } from './memento.ts';
import { PendingRecords } from './pending-records.ts';

/** By container id; never changed, but replaced. */
type Policies = ReadonlyMap<string, ContainerPolicy>;

const NOBODY: Policies = new Map();

const SUFFIX = '.json';

/** More would only keep others waiting for the same few threads. */
const AT_ONCE = 4;

export class LastGood {
  readonly #folder: string;
  readonly #pending: PendingRecords;
  /** By container name: the hash of what is on disk. */
  readonly #stored = new Map<string, string>();
  readonly #saved = new Map<string, CompiledPolicy>();
  /** To be written. What the disk refuses is kept as soon as there is room, though the file itself may be broken by then. */
  readonly #due = new Map<string, Memento>();
  /** To be removed, and as good as gone. */
  readonly #leaving = new Set<string>();
  #noted: Policies | undefined;
  /** How many containers of a name, in different LXC paths, have a policy file. */
  readonly #present = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();
  #isRefused = false;

  constructor(stateDirectory: string) {
    this.#folder = join(stateDirectory, 'last-good');
    this.#pending = new PendingRecords(this.#folder);
  }

  /** Learns what an earlier run kept. @throws Error for lack of means to read it: without it containers would be shut. */
  async open(): Promise<void> {
    // None may be there yet; and a disk that refuses is told of once there is something to keep.
    const names = (await readdir(this.#folder).catch(unlessLack<string[]>([]))).flatMap(
      (file) => nameOfRecord(file) ?? [],
    );
    await forEachLimited(names, 32, async (name) => {
      // What can't be read is as good as none: a damaged disk must not keep the daemon from enforcing the others'.
      const text = await readFile(this.#path(name), 'utf8').catch(unlessLack(undefined));
      if (text !== undefined) this.#stored.set(name, digest(text));
    });
    for (const [name, memento] of await this.#pending.open()) {
      if (memento === null) this.#leaving.add(name);
      else this.#due.set(name, memento);
    }
  }

  /** `undefined` where there is none, or where it isn't good any more by this release's rules. */
  async recall(
    name: string,
    { now, id }: { readonly now: number; readonly id: string },
  ): Promise<CompiledPolicy | undefined> {
    const memento = this.#due.get(name) ?? (await this.#read(name));
    if (memento === undefined) return undefined;
    const loaded = loadPolicies(filesOf(memento));
    const book = createAddressBook(memento.containers, memento.groups);
    const compiled = compilePolicy(name, { loaded, book, now }, { id });
    return compiled.ok && compiled.file !== null ? compiled : undefined;
  }

  /**
   * Keeps what is good, and forgets what has no policy file any more: here at once, and for a later run, be this one killed,
   * when the promise ends. To be called before the kernel has it: the record before may allow what this one forbids.
   */
  async note(policies: Policies, files: PolicyFiles): Promise<void> {
    if (policies === this.#noted) return;
    this.#note(policies, files);
    if (this.#due.size === 0 && this.#leaving.size === 0) return;
    await this.#pending.keep([...this.#due, ...[...this.#leaving].map((name) => [name, null] as const)]);
  }

  /** Writes each to its own record, since no pass should wait for a thousand. @throws the first error, after all were tried. */
  async save(): Promise<void> {
    // One at a time: two writers of one record would mix their texts.
    const written = this.#last.then(() => this.#write());
    const note = (isRefused: boolean) => (): void => {
      this.#isRefused = isRefused;
    };
    this.#last = written.then(note(false), note(true));
    await written;
  }

  /** Whether the disk refused some of it, the last time. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Ends when all that was saved is on the disk, as far as the disk takes it. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #note(policies: Policies, files: PolicyFiles): void {
    const mementoOf = createMementos(files);
    const before = this.#noted ?? NOBODY;
    const gone = new Set(this.#noted === undefined ? [...this.#stored.keys(), ...this.#due.keys()] : []);
    for (const id of changedKeys(before, policies)) {
      const old = before.get(id);
      if (old !== undefined && old.file !== null) gone.add(this.#count(old, -1));
      const policy = policies.get(id);
      if (policy === undefined || policy.file === null) continue;
      this.#count(policy, 1);
      if (policy.status === 'ok') this.#keepLater(policy, mementoOf);
    }
    for (const name of gone) {
      if (this.#present.has(name)) continue;
      this.#saved.delete(name);
      const wasDue = this.#due.delete(name);
      if (wasDue || this.#stored.has(name)) this.#leaving.add(name);
    }
    this.#noted = policies;
  }

  /** @returns the container's name. */
  #count({ compiled: { container } }: ContainerPolicy, by: 1 | -1): string {
    const count = (this.#present.get(container) ?? 0) + by;
    if (count === 0) this.#present.delete(container);
    else this.#present.set(container, count);
    return container;
  }

  #keepLater({ compiled }: ContainerPolicy, mementoOf: (compiled: CompiledPolicy) => Memento): void {
    const { container } = compiled;
    const known = this.#saved.get(container);
    if (known === compiled) return;
    this.#saved.set(container, compiled);
    this.#leaving.delete(container);
    const memento = mementoOf(compiled);
    // At a start most are as they are on the disk. Later only what is another comes here, and the rules wait for it; and
    // one that is being written would come after it.
    if (known !== undefined || this.#due.has(container) || this.#stored.get(container) !== digestOf(memento))
      this.#due.set(container, memento);
  }

  async #write(): Promise<void> {
    const errors: unknown[] = [];
    // One that can't be kept, such as a name that is too long for a file's, costs the others nothing.
    const tried = (step: Promise<void>): Promise<void> => step.catch((cause: unknown) => void errors.push(cause));
    if (this.#due.size > 0) await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await forEachLimited(this.#due, AT_ONCE, ([name, memento]) => tried(this.#keep(name, memento)));
    await forEachLimited(this.#leaving, AT_ONCE, (name) => tried(this.#remove(name)));
    if (this.#due.size === 0 && this.#leaving.size === 0) await tried(this.#pending.clear());
    if (errors.length > 0) throw errors[0];
  }

  async #keep(name: string, memento: Memento): Promise<void> {
    // Another by now, which is written next, or none.
    if (this.#due.get(name) !== memento) return;
    const text = renderMemento(memento);
    const hash = digest(text);
    if (this.#stored.get(name) !== hash) {
      // Renamed into place: a crash leaves the old record or the new one.
      const temporary = `${this.#path(name)}.new`;
      try {
        await writeFile(temporary, text, { mode: 0o600 });
        await rename(temporary, this.#path(name));
      } catch (cause) {
        // There may be a record for each of thousands, on a disk that is full already.
        await rm(temporary, { force: true }).catch(() => undefined);
        throw cause;
      }
      this.#stored.set(name, hash);
    }
    if (this.#due.get(name) === memento) this.#due.delete(name);
  }

  async #remove(name: string): Promise<void> {
    // Good again since.
    if (!this.#leaving.has(name)) return;
    await rm(this.#path(name), { force: true });
    this.#stored.delete(name);
    this.#leaving.delete(name);
  }

  async #read(name: string): Promise<Memento | undefined> {
    if (!this.#stored.has(name) || this.#leaving.has(name)) return undefined;
    // One that was taken away, or damaged since, must not keep others' passes from their end.
    const text = await readFile(this.#path(name), 'utf8').catch(unlessLack(undefined));
    return text === undefined ? undefined : parseMemento(text);
  }

  #path(name: string): string {
    return join(this.#folder, `${encodeURIComponent(name)}${SUFFIX}`);
  }
}

/** `undefined` for a file that can't be of ours. */
function nameOfRecord(file: string): string | undefined {
  if (!file.endsWith(SUFFIX)) return undefined;
  try {
    const name = decodeURIComponent(file.slice(0, -SUFFIX.length));
    return `${encodeURIComponent(name)}${SUFFIX}` === file ? name : undefined;
  } catch {
    // A stray percent sign.
    return undefined;
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

const digestOf = (memento: Memento): string => digest(renderMemento(memento));
