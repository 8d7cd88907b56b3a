/** What the daemon holds, from /proc. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
};

export const commandOf = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();

export const childrenOf = (pid: number): number[] =>
  read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);

export interface Holdings {
  readonly children: readonly string[];
  readonly files: number;
  readonly megabytes: number;
}

export function holdingsOf(pid: number): Holdings {
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`)) ?? [];
  return {
    children: childrenOf(pid).map(commandOf).sort(),
    files: existsSync(`/proc/${pid}/fd`) ? readdirSync(`/proc/${pid}/fd`).length : 0,
    megabytes: Math.round(Number(kilobytes) / 1024),
  };
}

/** Those that the daemon has more of than it needs: one of each kind, and of ip another one at hand. */
export function surplusOf({ children }: Holdings): string[] {
  const most = (command: string): number => (command.startsWith('ip -force -batch') ? 2 : 1);
  return children.filter((command, at) => at - children.indexOf(command) >= most(command));
}
