/** Puts the metrics into node_exporter's folder: whole, soon after something happened, and not often. */
import { open, rename, rm } from 'node:fs/promises';
import { type Log, messageOf } from '../log.ts';

export interface TextfileOptions {
  readonly path: string;
  readonly render: () => Promise<string>;
  readonly log: Log;
  readonly periods?: Periods;
}

interface Periods {
  /** From a change to the writing. */
  readonly soonMs: number;
  /** From one writing to the next, at the least. */
  readonly leastMs: number;
  /** The same while nothing happens, by how long a writing takes. */
  readonly idleMs: number;
  readonly idleMostMs: number;
}

export interface TextfileWriter {
  /** Something happened that the file doesn't tell yet. */
  changed(): void;
  /** Ends with the file away: numbers that nobody renews would pass for present ones. */
  stop(): Promise<void>;
}

/**
 * A burst of passes is one writing, well after the packets' path is done. Packets are counted while nothing happens too:
 * a thousandth of the time is enough for that, and 10,000 containers take a quarter of a second.
 */
const PERIODS: Periods = { soonMs: 500, leastMs: 15_000, idleMs: 60_000, idleMostMs: 300_000 };
const IDLE_TIMES = 1000;

export function openTextfile({ path, render, log, periods = PERIODS }: TextfileOptions): TextfileWriter {
  let timer: NodeJS.Timeout | undefined;
  let due = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let isStopped = false;
  let complaint: string | undefined;

  function schedule(at: number): void {
    if (isStopped || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(begin, Math.max(0, at - performance.now()));
  }

  function begin(): void {
    due = Number.POSITIVE_INFINITY;
    last = performance.now();
    writing = write().finally(() => {
      writing = undefined;
      const took = performance.now() - last;
      schedule(last + Math.max(periods.idleMs, Math.min(took * IDLE_TIMES, periods.idleMostMs)));
    });
  }

  async function write(): Promise<void> {
    try {
      await replaceFile(path, await render());
      complaint = undefined;
    } catch (cause) {
      const message = messageOf(cause);
      // It goes on failing every minute, in the same way.
      if (message !== complaint) log('warning', `metrics: ${path}: ${message}`);
      complaint = message;
    }
  }

  return {
    changed: () => {
      const soon = performance.now() + periods.soonMs;
      schedule(Math.max(soon, last + periods.leastMs));
    },
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await writing;
      await rm(path, { force: true }).catch((cause: unknown) => log('warning', `metrics: ${messageOf(cause)}`));
    },
  };
}

/**
 * The folder belongs to the user that node_exporter runs as: a name that exists already may be a link of theirs to
 * somewhere else, so the new file is always one that didn't exist.
 */
async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  const file = await open(fresh, 'wx', 0o644);
  try {
    await file.writeFile(text);
    // Whatever our umask is, the reader is another user.
    await file.chmod(0o644);
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}
