/** Ends a process and all that it started. */
import { readFileSync } from 'node:fs';

/** Each is stopped before its children are looked up, so that it starts no more of them. Gone ones are no error. */
export function killTree(pid: number): void {
  signal(pid, 'SIGSTOP');
  for (const child of childrenOf(pid)) killTree(child);
  signal(pid, 'SIGKILL');
}

/** The same with a child of that process; another process that has that number by now is spared. */
export function killChild(parent: number, pid: number): void {
  if (childrenOf(parent).includes(pid)) killTree(pid);
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // As above.
  }
}
