/** The daemon's clock, patience and watches, which a test can't take from the machine; see odd-clock.mjs. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeFolder } from '../../sandbox/clean-up.ts';
import type { Daemon } from '../../sandbox/daemon.ts';

/** Each is in force once it resolves, and over once the answer's answer does. */
export interface OddClock {
  /** For the daemon alone. */
  readonly env: Readonly<Record<string, string>>;
  /** The daemon that it works on. */
  attach(daemon: Daemon): void;
  /** Its wall clock is ahead. */
  jump(seconds: number): Promise<() => Promise<void>>;
  /** A minute's timeout is over in half a second, and a comparison's ten seconds in one. */
  hurry(): Promise<() => Promise<void>>;
  /** What is tried again after ten seconds is after a fifth of one. */
  impatient(): Promise<() => Promise<void>>;
  /** As the kernel does at user.max_inotify_watches: with ENOSPC; it is tried again soon. */
  refuseWatches(): Promise<() => Promise<void>>;
}

const PRELOAD = fileURLToPath(new URL('odd-clock.mjs', import.meta.url));
/** `minutes`, `halves`, `retries` and `tens`: by how much timers of 60, 30, 10, and 10 to 15 s are shorter. */
const REAL = { ahead: 0, minutes: 1, halves: 1, retries: 1, tens: 1, watches: true };
const MINUTES = 120;
const RETRIES = 50;

/** `preload`: a further module for the daemon's process. */
export async function makeClock(preload?: string): Promise<OddClock> {
  const file = join(await makeFolder(), 'clock.json');
  let daemon: Daemon | undefined;
  const set = async (odd: Partial<typeof REAL>): Promise<void> => {
    await writeFile(`${file}.new`, JSON.stringify({ ...REAL, ...odd }));
    await rename(`${file}.new`, file);
    if (daemon === undefined) return;
    const after = daemon.child().lines.length;
    daemon.child().signal('SIGUSR2');
    await daemon.child().waitForLine(/odd clock read/, { after, timeout: 10_000 });
  };
  const during = async (odd: Partial<typeof REAL>): Promise<() => Promise<void>> => {
    await set(odd);
    return () => set({});
  };
  await set({});
  return {
    env: {
      ODD_CLOCK: file,
      NODE_OPTIONS: [PRELOAD, preload].flatMap((one) => (one === undefined ? [] : `--import ${one}`)).join(' '),
    },
    attach: (one) => {
      daemon = one;
    },
    jump: async (seconds) => {
      await set({ ahead: seconds * 1000, minutes: MINUTES });
      return async () => {
        await set({ minutes: MINUTES });
        // What a minute's look finds is found by then.
        await sleep(700);
        await set({});
      };
    },
    hurry: () => during({ minutes: MINUTES, halves: 60, retries: 10, tens: 10 }),
    impatient: () => during({ retries: RETRIES }),
    refuseWatches: () => during({ watches: false, retries: RETRIES }),
  };
}
