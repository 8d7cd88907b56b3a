/** A child process that is read line by line and started again, with back-off, whenever it ends. */
import { execa, type ResultPromise } from 'execa';
import { whyNotSpawned } from './failed-spawns.ts';
import { lineSplitter } from './line-splitter.ts';

const STDERR_KEPT = 2048;
const KILL_AFTER_MS = 1000;
/** A grandchild may hold the pipe after the child itself is gone. */
const DRAIN_MS = 300;

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A child that lived as long as that starts over at `firstMs`. */
  readonly healthyMs: number;
}

export interface LineProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** A child runs; `generation` counts from 1. Not called where it could not be started. */
  readonly onStart: (child: { readonly pid: number; readonly generation: number }) => void;
  readonly onLine: (line: string) => void;
  readonly onErrorLine?: (line: string) => void;
  /** The child could not be started or has ended; the next one comes in `retryInMs`. */
  readonly onFailure: (failure: { readonly cause: Error; readonly retryInMs: number }) => void;
  readonly backoff?: Backoff;
}

export interface LineProcess {
  start(): void;
  /** Resolves when the child is gone; may be called twice. */
  stop(): Promise<void>;
  /** Ends the running child as failed for that reason: it still lives, but what it tells has a hole. */
  fail(cause: Error): void;
}

interface Child {
  readonly handle: Handle;
  /** By a clock that nobody sets. */
  readonly startedAt: number;
  /** Resolves with what execa says of the end, if that is more than an exit status. */
  readonly gone: Promise<unknown>;
  failedFor: Error | undefined;
  stderr: string;
}

const OPTIONS = {
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'pipe',
  buffer: false,
  reject: false,
  cleanup: true,
  env: { LC_ALL: 'C' },
  cwd: '/',
  forceKillAfterDelay: KILL_AFTER_MS,
} as const;

type Handle = ResultPromise<typeof OPTIONS>;

/** The process is started by its arguments, never through a shell. It dies with this process unless that is SIGKILLed. */
export function lineProcess(options: LineProcessOptions): LineProcess {
  const backoff = options.backoff ?? { firstMs: 100, maxMs: 10_000, healthyMs: 30_000 };
  let running = false;
  let generation = 0;
  let delay = backoff.firstMs;
  let child: Child | undefined;
  let timer: NodeJS.Timeout | undefined;

  const spawn = () => {
    let handle: Handle;
    try {
      handle = execa(options.command, [...options.args], OPTIONS);
    } catch (cause) {
      // Out of descriptors: see failed-spawns.ts.
      retry(new Error(`${options.command}: could not be started`, { cause: whyNotSpawned(cause) }));
      return;
    }
    const startedAt = performance.now();
    const started: Child = { handle, startedAt, gone: ended(handle), failedFor: undefined, stderr: '' };
    child = started;
    const isCurrent = () => running && child === started && started.failedFor === undefined;
    readLines(handle.stdout, (line) => isCurrent() && options.onLine(line));
    readLines(handle.stderr, (line) => {
      started.stderr = `${started.stderr}${line}\n`.slice(-STDERR_KEPT);
      if (isCurrent()) options.onErrorLine?.(line);
    });
    void started.gone.then((cause) => finish(started, cause));
    generation += 1;
    if (handle.pid !== undefined) options.onStart({ pid: handle.pid, generation });
  };

  const finish = (ended: Child, cause: unknown) => {
    if (child === ended) child = undefined;
    if (!running) return;
    if (performance.now() - ended.startedAt >= backoff.healthyMs) delay = backoff.firstMs;
    retry(ended.failedFor ?? failureOf(options.command, ended, cause));
  };

  const retry = (cause: Error) => {
    const retryInMs = delay;
    delay = Math.min(delay * 2, backoff.maxMs);
    timer = setTimeout(spawn, retryInMs);
    options.onFailure({ cause, retryInMs });
  };

  return {
    start() {
      if (running) return;
      running = true;
      delay = backoff.firstMs;
      spawn();
    },
    async stop() {
      running = false;
      clearTimeout(timer);
      const ending = child;
      ending?.handle.kill('SIGTERM');
      await ending?.gone;
    },
    fail(cause) {
      if (child === undefined || child.failedFor !== undefined) return;
      child.failedFor = cause;
      child.handle.kill('SIGKILL');
    },
  };
}

function readLines(stream: Handle['stdout'], onLine: (line: string) => void): void {
  stream.setEncoding('utf8');
  stream.on('data', lineSplitter(onLine));
  // A read error is the child's end by another name, and that is told with its exit.
  stream.on('error', () => stream.destroy());
}

/** Resolves when the child has ended and its output is read, or soon after its end if others hold the pipe open. */
async function ended(handle: Handle): Promise<unknown> {
  const exited = new Promise<void>((resolve) => {
    handle.once('exit', () => setTimeout(resolve, DRAIN_MS));
  });
  return await Promise.race([handle.then((result) => result.cause), exited]);
}

function failureOf(command: string, { handle, stderr }: Child, cause: unknown): Error {
  const { pid, exitCode, signalCode } = handle;
  if (pid === undefined) return new Error(`${command}: could not be started`, { cause });
  const reason = signalCode ? `ended by ${signalCode}` : `ended with exit status ${exitCode}`;
  return new Error([`${command}: ${reason}`, stderr.trim()].filter(Boolean).join(': '), { cause });
}
