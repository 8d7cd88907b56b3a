/** Everything that the sandbox makes is registered here and undone in reverse order, whatever fails. */
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownPrefix } from './mark.ts';
import { sweepDeadProcesses, sweepProcess } from './sweep.ts';

interface Undo {
  readonly what: string;
  readonly undo: () => Promise<void>;
}

const undos = new Set<Undo>();
let guarded = false;

/**
 * Registers how to undo what was just made. The answer undoes it now, once; later calls do nothing.
 * The first call sweeps up after crashed processes and sees to it that this one's end leaves nothing.
 */
export function atEnd(what: string, undo: () => Promise<void>): () => Promise<void> {
  guardProcess();
  const entry = { what, undo };
  undos.add(entry);
  return async () => {
    if (undos.delete(entry)) await undo();
  };
}

/** Undoes all, newest first; tries everything and throws one error that holds all. Safe to call twice. */
export async function cleanUp(): Promise<void> {
  const errors: Error[] = [];
  for (const entry of [...undos].reverse()) {
    if (!undos.delete(entry)) continue;
    try {
      await entry.undo();
    } catch (cause) {
      errors.push(new Error(`${entry.what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }));
    }
  }
  if (errors.length > 0) {
    throw new AggregateError(errors, `cleaning up failed: ${errors.map(({ message }) => message).join('; ')}`);
  }
}

/** A fresh folder that goes at the end. Readable by all, since LXC insists on reaching a container's root. */
export async function makeFolder(): Promise<string> {
  guardProcess();
  const folder = await mkdtemp(join(tmpdir(), ownPrefix));
  atEnd(`remove ${folder}`, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

function guardProcess(): void {
  if (guarded) return;
  guarded = true;
  sweepDeadProcesses();
  // An uncaught exception ends in 'exit' too; a signal doesn't by itself.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
  process.on('exit', () => {
    if (undos.size > 0) sweepProcess(process.pid);
  });
}
