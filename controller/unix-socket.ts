/** A listening unix socket in the place of one that a killed daemon left behind. */
import { lstat, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { errorCode } from '../watchers/error-code.ts';

/** Removes nothing else that is there, and none that somebody serves. @throws Error that says what is there */
export async function clearSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((cause: unknown) => {
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} exists and is no socket`);
  if (await isServed(path)) throw new Error(`${path} is served by another process`);
  await rm(path, { force: true });
}

/** Whether somebody listens there. */
export const isServed = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
