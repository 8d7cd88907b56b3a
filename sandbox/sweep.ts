/** Removes at one blow, synchronously, what a process left behind: its children, namespaces and folders. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeCgroups } from './cgroups.ts';
import { MARK, prefixOfProcess, processOfName } from './mark.ts';

const NETNS_FOLDER = '/run/netns';

/** Sweeps up after every earlier process that is dead; a living one's things are its own. */
export function sweepDeadProcesses(): void {
  const names = [...listFolder(NETNS_FOLDER), ...listFolder(tmpdir())];
  const pids = new Set(names.map(processOfName).filter((pid) => pid !== undefined));
  for (const pid of pids) if (!isAlive(pid)) sweepProcess(pid);
}

/** Kills the marked processes, then deletes the cgroups, namespaces and folders with the prefix of that process. */
export function sweepProcess(pid: number): void {
  const prefix = prefixOfProcess(pid);
  const errors: unknown[] = [];
  attempt(errors, () => killMarked(prefix));
  attempt(errors, () => removeCgroups(prefix));
  for (const name of listFolder(NETNS_FOLDER).filter((name) => name.startsWith(prefix))) {
    attempt(errors, () => execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' }));
  }
  for (const name of listFolder(tmpdir()).filter((name) => name.startsWith(prefix))) {
    attempt(errors, () => removeFolder(join(tmpdir(), name)));
  }
  if (errors.length > 0) throw new AggregateError(errors, `sweeping up after process ${pid} failed`);
}

/** With what is mounted on it or inside it; what was mounted last goes first. */
function removeFolder(folder: string): void {
  const mounted = (readIfThere('/proc/self/mounts') ?? '').split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const place of mounted.reverse()) {
    if (place === folder || place.startsWith(`${folder}/`)) execFileSync('umount', ['-l', place], { stdio: 'pipe' });
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Marked processes and all their descendants: an LXC monitor's init doesn't inherit the environment. */
function killMarked(prefix: string): void {
  const processes = listProcesses();
  const doomed = new Set(processes.filter(({ pid }) => isMarked(pid, prefix)).map(({ pid }) => pid));
  for (let before = -1; before !== doomed.size; ) {
    before = doomed.size;
    for (const { pid, parent } of processes) if (doomed.has(parent)) doomed.add(pid);
  }
  doomed.delete(process.pid);
  for (const pid of doomed) kill(pid);
}

function isMarked(pid: number, prefix: string): boolean {
  // This process may be a marked one itself, when one sandbox starts another.
  return (
    pid !== process.pid && (readIfThere(`/proc/${pid}/environ`)?.split('\0').includes(`${MARK}=${prefix}`) ?? false)
  );
}

function listProcesses(): { pid: number; parent: number }[] {
  return listFolder('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: parentOf(Number(name)) ?? 0 }));
}

/** The parent's process id, or `undefined` for a process that is gone. */
export function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** State, parent and so on: the fields after the command's name, which may itself hold blanks and brackets. */
function statOf(pid: number): string[] | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** SIGKILL by default; a process that is gone already is fine. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** A process that ended but isn't reaped yet counts as dead. */
export function isAlive(pid: number): boolean {
  const state = statOf(pid)?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

function attempt(errors: unknown[], action: () => void): void {
  try {
    action();
  } catch (error) {
    errors.push(error);
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
