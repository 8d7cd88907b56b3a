/** Sockets as /proc lists them: what a child process has subscribed to, and who listens where. */
import { readFile } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errorCode } from './error-code.ts';

/**
 * A file below /proc, whole. The one of node:fs/promises takes the first short read for the end in Node 18, and the
 * kernel gives 4 KiB of a table at a time.
 */
export const readProcFile = (file: string): Promise<string> => promisify(readFile)(file, 'utf8');

export interface UnixSocket {
  readonly inode: number;
  /** Without the leading `@`; empty for an unnamed socket. */
  readonly abstractName: string;
  readonly listening: boolean;
  /** Connected, and on the server's side accepted. */
  readonly connected: boolean;
  /** Connected, but the server has not accepted it yet. */
  readonly pending: boolean;
}

// Num RefCount Protocol Flags Type St Inode Path
const UNIX_ROW = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]+) [0-9A-F]+ ([0-9A-F]{2}) +(\d+)(?: (.*))?$/;
const ACCEPTS_CONNECTIONS = 0x10000;

/** Parses /proc/net/unix. The kernel prints names raw: a line that is no row belongs to the name of the row before. */
export function parseUnixSockets(text: string): UnixSocket[] {
  const rows: { flags: number; state: string; inode: number; path: string }[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, flags, state, inode, path = ''] = UNIX_ROW.exec(line) ?? [];
    const top = rows.at(-1);
    if (flags !== undefined && state !== undefined) {
      rows.push({ flags: Number.parseInt(flags, 16), state, inode: Number(inode), path });
    } else if (top !== undefined && top.path !== '') {
      top.path += `\n${line}`;
    }
  }
  const last = rows.at(-1);
  if (last?.path.endsWith('\n')) last.path = last.path.slice(0, -1);
  return rows.map(({ flags, state, inode, path }) => ({
    inode,
    abstractName: path.startsWith('@') ? path.slice(1) : '',
    listening: (flags & ACCEPTS_CONNECTIONS) !== 0,
    connected: state === '03',
    pending: state === '02',
  }));
}

export interface NetlinkSocket {
  readonly protocol: number;
  readonly groups: number;
  readonly inode: number;
}

/** Parses /proc/net/netlink; `groups` is the mask of the first 32 multicast groups. */
export function parseNetlinkSockets(text: string): NetlinkSocket[] {
  const rows = text.split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, protocol, , groups, , , , , , inode] = row.trim().split(/\s+/);
    if (protocol === undefined || groups === undefined || inode === undefined) return [];
    return [{ protocol: Number(protocol), groups: Number.parseInt(groups, 16), inode: Number(inode) }];
  });
}

/** The inodes of the sockets that a process has open; none if the process is gone. */
export async function readSocketInodes(pid: number): Promise<Set<number>> {
  const names = await ifAlive(readdir(`/proc/${pid}/fd`), []);
  const targets = await Promise.all(names.map((name) => ifAlive(readlink(`/proc/${pid}/fd/${name}`), '')));
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []).map(Number));
}

/** /proc/PID/net/TABLE, which is that process's network namespace; empty if the process is gone. */
export const readNetTable = (pid: number, table: 'unix' | 'netlink'): Promise<string> =>
  ifAlive(readProcFile(`/proc/${pid}/net/${table}`), '');

/** A process may end between any two looks at it. */
async function ifAlive<T>(read: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errorCode(error))) return otherwise;
    throw error;
  }
}
