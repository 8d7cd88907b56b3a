/** Reads a container's configuration with all that it includes, as LXC would. */
import { resolve } from 'node:path';
import { applyEntry } from './apply-entry.ts';
import type { LxcConfig, LxcFiles, Place } from './config.ts';
import { complain, finishState, type LoadState, newState } from './load-state.ts';
import { error, warning } from './nic-key.ts';
import { type Entry, type KeyValue, splitLines } from './split-lines.ts';

/** LXC itself has no limits here: it runs until its stack is used up. */
const MAX_DEPTH = 100;
const MAX_INCLUDES = 1000;
/** Of all that is read for one container, counted again where it is included again. */
const MAX_CHARACTERS = 8 * 1024 * 1024;

export interface LxcConfigOptions {
  /** Where relative includes start: the folder that LXC's commands are run from. `/` by default, as for a service. */
  readonly workingDirectory?: string;
  /** What splits a text into lines; see shared-files.ts. */
  readonly split?: (text: string) => readonly Entry[];
}

/** Never throws for what a file says, nor for a file that can't be read: those are problems, with their place. */
export function parseLxcConfig(file: string, disk: LxcFiles, options: LxcConfigOptions = {}): LxcConfig {
  const state = newState(disk, options.workingDirectory ?? '/', options.split ?? splitLines);
  const path = resolve(state.workingDirectory, file);
  const found = readFile(state, path, path, { file: path, line: 1 }, 1);
  if (found === 'missing') complain(state, { file: path, line: 1 }, 1, error('there is no such file'));
  return finishState(state, path);
}

/** Reads and applies one file; `unreadable` has been complained about already, at the place that names the file. */
function readFile(
  state: LoadState,
  rawPath: string,
  path: string,
  place: Place,
  column: number,
): 'read' | 'missing' | 'unreadable' {
  state.files.add(path);
  const text = attempt(state, place, column, () => state.disk.read(rawPath));
  if (text === null) return 'unreadable';
  if (text === undefined) return 'missing';
  state.characters += text.length;
  if (state.characters > MAX_CHARACTERS) {
    const message = `${path}: more than ${MAX_CHARACTERS / 1024} KiB with all that is included`;
    refuse(state, place, column, message);
    return 'unreadable';
  }
  state.open.push(path);
  warnOfUnreadLines(state, path, text);
  for (const entry of state.split(text)) {
    const here = { file: path, line: entry.line };
    if (entry.value === undefined)
      complain(state, here, entry.keyColumn, error(`"${entry.key}" lacks its = and a value`));
    else if (entry.key === 'lxc.include') include(state, entry, here);
    else applyEntry(state, entry, here);
  }
  state.open.pop();
  return 'read';
}

/** What an editor shows as a setting, and LXC never sees. */
function warnOfUnreadLines(state: LoadState, file: string, text: string): void {
  if (text.startsWith('\ufefflxc.')) {
    complain(state, { file, line: 1 }, 1, warning('LXC ignores this line, since a byte order mark precedes it'));
  }
  const nul = text.indexOf('\0');
  if (nul >= 0 && /[^\0\s]/.test(text.slice(nul, nul + 100_000))) {
    const line = text.slice(0, nul).split(/\r\n|\r|\n/).length;
    complain(state, { file, line }, 1, warning('LXC reads nothing after the NUL byte in this line'));
  }
}

function include(state: LoadState, { value, valueColumn }: KeyValue, place: Place): void {
  if (value === '') return;
  if (!value.startsWith('/')) {
    const message = `a relative include: LXC looks for it in the folder that it is started from, here in ${state.workingDirectory}`;
    complain(state, place, valueColumn, warning(message));
  }
  // Not resolved before reading: the kernel takes `link/..` another way than text does.
  const rawPath = value.startsWith('/') ? value : `${state.workingDirectory}/${value}`;
  if (value.endsWith('/')) includeFolder(state, rawPath, place, valueColumn);
  else includeFile(state, rawPath, place, valueColumn);
}

function includeFile(state: LoadState, rawPath: string, place: Place, column: number): void {
  const path = resolve(rawPath);
  const refusal = refuseInclude(state, path);
  if (refusal !== undefined) {
    refuse(state, place, column, refusal);
    return;
  }
  if (readFile(state, rawPath, path, place, column) !== 'missing') return;
  const names = attempt(state, place, column, () => state.disk.list(rawPath));
  if (names === null) return;
  if (names === undefined) complain(state, place, column, error(`${path}: there is no such file to include`));
  else includeNames(state, rawPath, names, place, column);
}

/** A path that ends in a slash: a folder that may be missing. */
function includeFolder(state: LoadState, rawPath: string, place: Place, column: number): void {
  const path = resolve(rawPath);
  state.files.add(path);
  const names = attempt(state, place, column, () => state.disk.list(rawPath));
  if (names === null) return;
  if (names !== undefined) {
    includeNames(state, rawPath, names, place, column);
    return;
  }
  const text = attempt(state, place, column, () => state.disk.read(path));
  if (typeof text === 'string')
    complain(state, place, column, error(`${path} is no folder: leave out the slash at its end`));
}

/** In the order given; a name such as `.conf` alone is too short for LXC, `.hidden.conf` is not. */
function includeNames(state: LoadState, folder: string, names: readonly string[], place: Place, column: number): void {
  for (const name of names) {
    if (!name.endsWith('.conf') || name === '.conf') continue;
    const rawPath = `${folder}/${name}`;
    const path = resolve(rawPath);
    const refusal = refuseInclude(state, path);
    if (refusal !== undefined) {
      refuse(state, place, column, refusal);
      return;
    }
    if (readFile(state, rawPath, path, place, column) === 'missing') passOver(state, rawPath, place, column);
  }
}

/** A folder named `x.conf` holds nothing for LXC, while a link to nowhere ends the load. */
function passOver(state: LoadState, rawPath: string, place: Place, column: number): void {
  const names = attempt(state, place, column, () => state.disk.list(rawPath));
  if (names === null) return;
  const complaint =
    names === undefined ? error('is no file that can be read') : warning('is a folder: LXC leaves it out');
  complain(state, place, column, { ...complaint, message: `${resolve(rawPath)} ${complaint.message}` });
}

function refuseInclude(state: LoadState, path: string): string | undefined {
  state.includes += 1;
  if (state.open.includes(path)) return `${path} includes itself without end: ${[...state.open, path].join(' -> ')}`;
  if (state.open.length > MAX_DEPTH) return `${path}: more than ${MAX_DEPTH} includes inside each other`;
  if (state.includes > MAX_INCLUDES) return `${path}: more than ${MAX_INCLUDES} includes`;
  return undefined;
}

function refuse(state: LoadState, place: Place, column: number, message: string): void {
  state.readable = false;
  complain(state, place, column, error(message));
}

/** `null`: it threw, and that is a problem now. */
function attempt<T>(state: LoadState, place: Place, column: number, look: () => T): T | null {
  try {
    return look();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    refuse(state, place, column, `can't be read: ${reason}`);
    return null;
  }
}
