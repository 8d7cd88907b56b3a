/** Reading that what is known can stand in for: one that fails, or that somebody can't wait for, is made later. */
import { messageOf } from '../log.ts';
import type { Run } from './run.ts';

/** It came to no end: nothing was written, and nothing is known that wasn't before. */
export class Unread extends Error {
  override readonly name = 'Unread';
}

/** As `run`, each command until then. For commands that only read: one that is killed may have done the half of it. */
export const abortable = (run: Run, signal: AbortSignal | undefined): Run =>
  signal === undefined
    ? run
    : (command, args, options) => run(command, args, { ...options, signal: either(signal, options?.signal) });

const either = (one: AbortSignal, other: AbortSignal | undefined): AbortSignal =>
  other === undefined ? one : AbortSignal.any([one, other]);

/** For what only reads. @throws Unread whatever it fails by */
export async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw cause instanceof Unread ? cause : new Unread(messageOf(cause), { cause });
  }
}

/** Takes what is read, one reading at a time; `undefined` where that is put aside, and what is known stays. */
export type Wait = <T extends object>(read: (signal?: AbortSignal) => Promise<T>) => Promise<T | undefined>;

/** As long as it takes. @throws Unread */
export const patiently: Wait = (read) => read();

/** @returns what it came to, or why to none. */
export async function orUnread<T>(read: () => Promise<T>): Promise<T | Unread> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof Unread) return cause;
    throw cause;
  }
}
