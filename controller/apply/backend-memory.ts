/** Which backends may have rules of ours in the kernel, so that the one that no longer serves is cleaned up after a crash too. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { realDisk, replaceFile } from '../state/durable-disk.ts';
import { unlessLack } from '../state/lack.ts';
import type { ChosenBackend } from './choose-backend.ts';

/** In the state folder. */
export const BACKEND_MEMORY = 'backends';
const KNOWN: readonly ChosenBackend[] = ['nftables', 'iptables-legacy', 'iptables-nft'];

/** Without the file, nothing but nftables has served yet. @throws Error for lack of means to read it. */
export async function readBackends(stateDirectory: string): Promise<ChosenBackend[]> {
  const text = await readFile(join(stateDirectory, BACKEND_MEMORY), 'utf8').catch(unlessLack('nftables'));
  return KNOWN.filter((name) => text.split('\n').includes(name));
}

/** @throws Error where it can't be written. */
export const writeBackends = (stateDirectory: string, backends: readonly ChosenBackend[]): Promise<void> =>
  replaceFile(realDisk, join(stateDirectory, BACKEND_MEMORY), `${[...new Set(backends)].join('\n')}\n`);
