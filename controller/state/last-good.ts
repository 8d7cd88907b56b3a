/**
 * The last good policy of each container, kept across restarts as the texts that it was compiled from: reading it
 * back goes through the same checks as the user's own files.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAddressBook } from '../../policies/address-book.ts';
import type { EnforcedPolicy } from '../../policies/compile.ts';
import { type CompiledPolicy, compilePolicy } from '../../policies/compile-policy.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { type PolicyFiles, policyFileKind } from '../../policies/policy-files.ts';
import type { FileContent } from '../../policies/source-text.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { ContainerPolicy } from '../assemble.ts';
import { forEachLimited } from '../commands/for-each-limited.ts';

/** Texts by path in the policy folder, and what the names in them stood for. */
interface Memento {
  readonly files: ReadonlyMap<string, string>;
  readonly containers: ReadonlyMap<string, readonly Prefix[]>;
  readonly groups: ReadonlyMap<string, readonly Prefix[]>;
}

const SUFFIX = '.json';

export class LastGood {
  readonly #folder: string;
  /** By container name: the hash of what is on disk. */
  readonly #stored = new Map<string, string>();
  #saved = new Map<string, CompiledPolicy>();
  /** To be written. What the disk refuses is kept as soon as there is room, though the file itself may be broken by then. */
  readonly #due = new Map<string, string>();

  constructor(stateDirectory: string) {
    this.#folder = join(stateDirectory, 'last-good');
  }

  /** Learns what an earlier run kept. */
  async open(): Promise<void> {
    // None may be there yet; and a disk that refuses is told of once there is something to keep.
    const names = (await readdir(this.#folder).catch(() => [])).flatMap((file) => nameOfRecord(file) ?? []);
    await forEachLimited(names, 32, async (name) => {
      // What can't be read is as good as none: a damaged disk must not keep the daemon from enforcing the others'.
      const text = await readFile(this.#path(name), 'utf8').catch(() => undefined);
      if (text !== undefined) this.#stored.set(name, digest(text));
    });
  }

  /** `undefined` where there is none, or where it isn't good any more by this release's rules. */
  async recall(
    name: string,
    { now, id }: { readonly now: number; readonly id: string },
  ): Promise<EnforcedPolicy | undefined> {
    if (!this.#stored.has(name)) return undefined;
    const memento = parseMemento(await readFile(this.#path(name), 'utf8'));
    if (memento === undefined) return undefined;
    const loaded = loadPolicies(memento.files);
    const book = createAddressBook(memento.containers, memento.groups);
    const compiled = compilePolicy(name, { loaded, book, now }, { id });
    return compiled.ok && compiled.file !== null ? compiled : undefined;
  }

  /** Keeps what is good, and forgets what has no policy file any more. @throws the first error, after all were tried. */
  async save(policies: Iterable<ContainerPolicy>, files: PolicyFiles): Promise<void> {
    const present = new Set<string>();
    const changed: CompiledPolicy[] = [];
    for (const { file, status, compiled } of policies) {
      if (file === null) continue;
      present.add(compiled.container);
      if (status === 'ok' && this.#saved.get(compiled.container) !== compiled) changed.push(compiled);
    }
    for (const compiled of changed) {
      this.#due.set(compiled.container, renderMemento(compiled, files));
      this.#saved.set(compiled.container, compiled);
    }
    const errors: unknown[] = [];
    const waiting = [...this.#due].filter(([name]) => present.has(name));
    // One that can't be kept, such as a name that is too long for a file's, costs the others nothing.
    await forEachLimited(waiting, 16, ([name, text]) =>
      this.#write(name, text).catch((cause: unknown) => void errors.push(cause)),
    );
    const gone = [...this.#stored.keys(), ...this.#due.keys()].filter((name) => !present.has(name));
    await forEachLimited(gone, 16, (name) => this.#remove(name));
    if (errors.length > 0) throw errors[0];
  }

  async #write(container: string, text: string): Promise<void> {
    if (this.#stored.get(container) !== digest(text)) {
      // Renamed into place: a crash leaves the old record or the new one.
      const temporary = `${this.#path(container)}.new`;
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, this.#path(container));
      this.#stored.set(container, digest(text));
    }
    this.#due.delete(container);
  }

  async #remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
    this.#stored.delete(name);
    this.#saved.delete(name);
    this.#due.delete(name);
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

function renderMemento({ lookups }: CompiledPolicy, files: PolicyFiles): string {
  const used = new Map<string, string>();
  const named = { container: new Map<string, unknown>(), group: new Map<string, unknown>() };
  for (const { kind, name, answer } of lookups) {
    if (kind === 'container' || kind === 'group') named[kind].set(name, answer);
    else if (kind === 'services') for (const file of serviceFiles(files)) used.set(file, textOf(files.get(file)));
    else if (typeof answer === 'object' && 'file' in answer && answer.file !== undefined)
      used.set(answer.file, textOf(files.get(answer.file)));
  }
  return JSON.stringify({
    files: Object.fromEntries(used),
    containers: Object.fromEntries(named.container),
    groups: Object.fromEntries(named.group),
  });
}

const serviceFiles = (files: PolicyFiles): string[] =>
  [...files.keys()].filter((file) => policyFileKind(file)?.kind === 'services');

function textOf(content: FileContent | undefined): string {
  if (content === undefined || content instanceof Error) return '';
  return typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
}

export function parseMemento(text: string): Memento | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // A record that isn't ours, or was damaged: as good as none, and the container stays shut.
    return undefined;
  }
  const entries = (key: string): [string, unknown][] => {
    const part: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, key) : undefined;
    return typeof part === 'object' && part !== null ? Object.entries(part) : [];
  };
  const prefixes = (key: string) => new Map(entries(key).map(([name, list]) => [name, parsePrefixes(list)]));
  const files = entries('files').flatMap(([file, content]): [string, string][] =>
    typeof content === 'string' ? [[file, content]] : [],
  );
  return { files: new Map(files), containers: prefixes('containers'), groups: prefixes('groups') };
}

const parsePrefixes = (list: unknown): Prefix[] =>
  Array.isArray(list) ? list.flatMap((text) => (typeof text === 'string' ? (parsePrefix(text) ?? []) : [])) : [];
