/** A monitoring child whose subscription is awaited: a list read before the subscription would miss what happens between. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, type LineProcess, lineProcess } from './line-process.ts';

/** After that long a living child is taken for subscribed: better a possible hole than a daemon that never lists. */
const GIVE_UP_MS = 5000;

export interface MonitorProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the child has subscribed; asked again and again until it says so. */
  readonly isSubscribed: (pid: number) => Promise<boolean>;
  /** A new child begins: nothing that the last one told counts any more. */
  readonly onStart?: () => void;
  readonly onSubscribed: () => void;
  readonly onLine: (line: string) => void;
  readonly onErrorLine?: (line: string) => void;
  readonly onFailure: (failure: { readonly cause: Error; readonly retryInMs: number }) => void;
  readonly backoff?: Backoff;
}

export function monitorProcess(options: MonitorProcessOptions): LineProcess {
  let current = 0;
  const child = lineProcess({
    ...options,
    onStart: ({ pid, generation }) => {
      current = generation;
      options.onStart?.();
      const isCurrent = () => current === generation;
      untilSubscribed(() => options.isSubscribed(pid), isCurrent).then(
        (subscribed) => subscribed && options.onSubscribed(),
        (cause: unknown) =>
          isCurrent() && child.fail(new Error(`${options.command}: can't tell whether it listens`, { cause })),
      );
    },
    onFailure: (failure) => {
      current = 0;
      options.onFailure(failure);
    },
  });
  return {
    ...child,
    async stop() {
      current = 0;
      await child.stop();
    },
  };
}

/** False when the child ended first. */
async function untilSubscribed(isSubscribed: () => Promise<boolean>, isCurrent: () => boolean): Promise<boolean> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (let pause = 2; isCurrent() && performance.now() < deadline; pause = Math.min(pause * 1.5, 100)) {
    if (await isSubscribed()) break;
    await sleep(pause);
  }
  return isCurrent();
}
