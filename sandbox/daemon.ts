/** The daemon under test, as an external program in the host's namespace. */
import type { Child } from './child.ts';
import type { Place } from './place.ts';

export interface DaemonOptions {
  readonly host: Place;
  /** How to run it, such as `['node', 'dist/routewall.mjs', 'daemon', '--config', FILE, '--policies', DIR, '-P', DIR]`. */
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Its log line that says that the kernel's state is enforced; none: don't wait. */
  readonly ready?: RegExp;
}

export interface Daemon {
  readonly child: () => Child;
  /** Of all runs, in order. */
  readonly log: () => readonly string[];
  /** A line of the present run, past or to come. */
  waitForLog(pattern: RegExp, timeout?: number): Promise<string>;
  /** Ends it by a signal, SIGTERM unless told. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, ready when it returns. Stops it before where it runs. */
  restart(signal?: NodeJS.Signals): Promise<void>;
}

/** A network namespace doesn't hide this machine's system bus, whose names are not the sandbox's to take. */
const NO_BUS = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' };

/** Starts it and waits until it says that it is ready. Stopped with the host at the latest. */
export async function startDaemon({ host, command, env = {}, ready }: DaemonOptions): Promise<Daemon> {
  const [program, ...args] = command;
  const earlier: string[] = [];
  const begin = async (): Promise<Child> => {
    const child = host.spawn(program, args, { env: { ...NO_BUS, ...env } });
    if (ready !== undefined) await child.waitForLine(ready, { timeout: 120_000 });
    return child;
  };
  let child = await begin();
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => void (await child.stop(signal));
  return {
    child: () => child,
    log: () => [...earlier, ...child.lines],
    waitForLog: (pattern, timeout = 10_000) => child.waitForLine(pattern, { timeout }),
    stop,
    restart: async (signal) => {
      await stop(signal);
      earlier.push(...child.lines);
      child = await begin();
    },
  };
}
