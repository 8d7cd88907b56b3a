/**
 * Which containers are sealed, and since when: `panic.json` in the state directory, which outlives daemon and boot. A file that
 * can't be read seals all.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../../watchers/error-code.ts';
import { asList, asObject, asText, fieldsOf, orNull, type Placed, parseJson } from '../json-shape.ts';
import { messageOf } from '../log.ts';
import { type DurableDisk, replaceFile } from '../state/durable-disk.ts';
import { isLack } from '../state/lack.ts';

/** Since when, as ISO 8601 in UTC, and by whom. */
export interface PanicEntry {
  readonly since: string;
  readonly by: string;
}

export interface PanicState {
  /** All containers, also those to come. */
  readonly all: PanicEntry | null;
  /** By name. */
  readonly containers: ReadonlyMap<string, PanicEntry>;
  /** Why the file can't be read: then all are sealed, and who was sealed by name isn't known. */
  readonly damaged: string | null;
}

/** For answers in JSON. */
export interface PanicView {
  readonly all: PanicEntry | null;
  readonly containers: readonly (PanicEntry & { readonly container: string })[];
  readonly damaged: string | null;
}

export const NO_PANIC: PanicState = { all: null, containers: new Map(), damaged: null };

export const isPanic = ({ all, containers }: PanicState): boolean => all !== null || containers.size > 0;

export const isSealed = ({ all, containers }: PanicState, container: string): boolean =>
  all !== null || containers.has(container);

/** What seals the container. */
export const sealOf = ({ all, containers }: PanicState, container: string): PanicEntry | undefined =>
  containers.get(container) ?? all ?? undefined;

export interface PanicOrder {
  readonly on: boolean;
  /** Empty: all of them. */
  readonly containers: readonly string[];
  readonly by: string;
}

/** The order would do nothing; the message says what would. */
export class PanicRefused extends Error {
  override readonly name = 'PanicRefused';
}

/** What is sealed already keeps its time. @throws PanicRefused */
export function turn(state: PanicState, { on, containers, by }: PanicOrder, since: string): PanicState {
  if (on) {
    if (containers.length === 0) return { ...state, all: state.all ?? { since, by } };
    const added = containers.map((name): [string, PanicEntry] => [name, state.containers.get(name) ?? { since, by }]);
    return { ...state, containers: new Map([...state.containers, ...added]) };
  }
  if (containers.length > 0) return withoutNames(state, containers);
  if (state.all !== null) return { ...state, all: null, damaged: null };
  if (state.containers.size === 0) return state;
  throw new PanicRefused(onlySealed([...state.containers.keys()]));
}

/** With the very line that ends it. */
const onlySealed = (names: readonly string[]): string =>
  `only ${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} sealed: routewall panic off ${names.map((name) => `-n ${name}`).join(' ')}`;

function withoutNames(state: PanicState, names: readonly string[]): PanicState {
  if (state.all !== null)
    throw new PanicRefused('all containers are sealed: routewall panic off, without -n, ends that');
  return { ...state, containers: new Map([...state.containers].filter(([name]) => !names.includes(name))) };
}

const fileIn = (stateDirectory: string): string => join(stateDirectory, 'panic.json');

/**
 * Never throws: a file that can't be read seals all. `known`: what was read before, which goes on while this process lacks
 * the descriptors or the memory to read anything; that says nothing about the file.
 */
export async function readPanic(stateDirectory: string, known?: PanicState): Promise<PanicState> {
  const file = fileIn(stateDirectory);
  try {
    return parsePanic(parseJson(await readFile(file, 'utf8')));
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT') return NO_PANIC;
    if (known !== undefined && isLack(cause)) return known;
    return { ...NO_PANIC, all: { since: '', by: '' }, damaged: `${file}: ${messageOf(cause)}` };
  }
}

/** On the disk, whole, when it returns. */
export async function writePanic(disk: DurableDisk, stateDirectory: string, state: PanicState): Promise<void> {
  const file = fileIn(stateDirectory);
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  if (isPanic(state)) return await replaceFile(disk, file, `${JSON.stringify(viewPanic(state), null, 2)}\n`);
  await disk.remove(file);
  await disk.syncFolder(dirname(file));
}

export const viewPanic = ({ all, containers, damaged }: PanicState): PanicView => ({
  all,
  containers: [...containers].map(([container, entry]) => ({ container, ...entry })),
  damaged,
});

/** What `viewPanic` gave. @throws ShapeError */
export function parsePanic(top: Placed): PanicState {
  const field = fieldsOf(top);
  const containers = asList(field('containers')).map((of): [string, PanicEntry] => [
    asText(fieldsOf(of)('container')),
    parseEntry(of),
  ]);
  const all = field('all');
  // Half a file must not count as the half that seals nothing.
  if (all.value === undefined) asObject(all);
  return {
    all: orNull(all, parseEntry),
    containers: new Map(containers),
    damaged: orNull(field('damaged'), asText),
  };
}

function parseEntry(of: Placed): PanicEntry {
  const field = fieldsOf(of);
  return { since: asText(field('since')), by: asText(field('by')) };
}
