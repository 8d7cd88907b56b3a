/** How long is left of a promised time, also after a restart, a reboot, and a clock that was set. */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Due } from './journal.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Seconds since the boot. */
  uptime(): number;
  /** The kernel's id of this boot; empty where it can't be read. */
  boot(): string;
}

export const hostClock: Clock = {
  now: () => Date.now(),
  uptime,
  boot: () => {
    try {
      return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      // Then each start counts as one of another boot, and the host's clock decides.
      return '';
    }
  },
};

export const dueIn = (seconds: number, clock: Clock): Due => ({
  at: new Date(clock.now() + seconds * 1000).toISOString(),
  seconds,
  boot: clock.boot(),
  uptime: clock.uptime() + seconds,
});

/** Milliseconds; 0 or less when the time has passed. A clock that went back grants no more than was promised: it is over. */
export function timeLeft(due: Due, clock: Clock): number {
  if (due.boot !== '' && due.boot === clock.boot()) return (due.uptime - clock.uptime()) * 1000;
  const left = Date.parse(due.at) - clock.now();
  return Number.isNaN(left) || left > due.seconds * 1000 ? 0 : left;
}
