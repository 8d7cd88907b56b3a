/** The one place in the controller that starts commands; never through a shell. */
import type { Readable } from 'node:stream';
import { ExecaError, execa, type ResultPromise } from 'execa';
import { whyNotSpawned } from '../../watchers/failed-spawns.ts';
import { killTree } from './kill-tree.ts';

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** However slowly its output is taken. */
export const STREAM_MS = 300_000;

/** A command that could not be started, was killed, or took too long; a non-zero exit is a result, not an error. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Messages, numbers and the dates in nft's listings must not depend on who started the daemon. */
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC' };

/** Whoever calls may stand where this user can't go, as behind `su` in /root: there nothing starts. No argument is a relative path. */
const FOLDER = '/';

/** The seam that everything above takes, so that a test can say what a command answered. */
export type Run = (command: string, args: readonly string[], options?: RunOptions) => Promise<CommandResult>;

export interface RunOptions {
  readonly input?: string;
  /** Milliseconds; the command is killed after it. */
  readonly timeout?: number;
  /** The command is killed at once, and its reason is what is thrown. */
  readonly signal?: AbortSignal;
}

/** @throws CommandError when there is no answer. */
export const run: Run = async (command, args, { input, timeout = 30_000, signal } = {}) => {
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;
  let end: () => void = () => undefined;
  try {
    const child = execa(command, args, {
      env: ENVIRONMENT,
      cwd: FOLDER,
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 512 * 1024 * 1024,
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    });
    // execa's own kills the child alone, and then waits for ever for what a hanging child of that one holds open.
    end = () => {
      if (child.pid !== undefined) killTree(child.pid);
    };
    timer = setTimeout(() => {
      isLate = true;
      end();
    }, timeout);
    signal?.addEventListener('abort', end);
    const result = await child;
    signal?.throwIfAborted();
    if (isLate) throw new CommandError(`${command}: timed out after ${timeout} ms`);
    if (result.exitCode === undefined) throw new CommandError(`${command}: ${result.shortMessage ?? 'no exit status'}`);
    return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
  } catch (cause) {
    if (cause instanceof CommandError || cause === signal?.reason) throw cause;
    if (cause instanceof ExecaError) throw new CommandError(`${command}: ${cause.shortMessage}`, { cause });
    throw notStarted(command, cause);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
};

/** What execa throws before there is a child; see watchers/failed-spawns.ts. */
const notStarted = (command: string, cause: unknown): CommandError =>
  new CommandError(`${command}: could not be started`, { cause: whyNotSpawned(cause) });

/** Runs a command whose failure is an error, and returns what it printed. */
export async function runOrThrow(
  runner: Run,
  command: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { stdout, stderr, exitCode } = await runner(command, args, options);
  if (exitCode !== 0)
    throw new CommandError(`${command} ${args.join(' ')}: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout;
}

/** Gives a command's output while it runs, some whole lines at a time. @throws CommandError at the end, if it failed. */
export type StreamLines = (command: string, args: readonly string[], input: string) => AsyncIterable<readonly string[]>;

export const streamLines: StreamLines = async function* (command, args, input) {
  const child = startStream(command, args, input);
  try {
    yield* linesFrom(child.stdout);
    const ended = await child;
    if (ended.exitCode !== 0) throw failureOf(command, ended);
  } finally {
    // Whoever listens no more has no use for the rest.
    child.kill();
  }
};

export const failureOf = (
  command: string,
  { stderr, shortMessage }: { readonly stderr?: string | undefined; readonly shortMessage?: string | undefined },
): CommandError => new CommandError(`${command}: ${stderr?.trim() || (shortMessage ?? 'it failed')}`);

/** Some whole lines at a time; what stands behind the last is left out. */
export async function* linesFrom(output: Readable): AsyncGenerator<readonly string[]> {
  let rest = '';
  for await (const text of output.setEncoding('utf8')) {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    yield lines;
  }
}

function startStream(command: string, args: readonly string[], input: string) {
  try {
    return execa(command, args, {
      ...{ env: ENVIRONMENT, cwd: FOLDER, input, reject: false, stripFinalNewline: false, timeout: STREAM_MS },
      buffer: { stdout: false, stderr: true },
    });
  } catch (cause) {
    throw notStarted(command, cause);
  }
}

/** A child that stays and is spoken to line by line. Only its error stream is read: success is silent. */
export interface Resident {
  write(text: string): void;
  onErrorOutput(listener: (text: string) => void): void;
  onEnd(listener: (cause: Error) => void): void;
  readonly pid: number | undefined;
  kill(): void;
}

export type StartResident = (command: string, args: readonly string[]) => Resident;

/** One that answers. */
export interface Talker extends Resident {
  write(data: string | Buffer): void;
  onOutput(listener: (data: Buffer) => void): void;
}

export type StartTalker = (command: string, args: readonly string[]) => Talker;

const TALKER = {
  env: ENVIRONMENT,
  cwd: FOLDER,
  stdin: 'pipe',
  stdout: 'pipe',
  stderr: 'pipe',
  buffer: false,
  reject: false,
} as const;

const RESIDENT = { ...TALKER, stdout: 'ignore' } as const;

export const startResident: StartResident = (command, args) => startChild(command, args, RESIDENT);

export const startTalker: StartTalker = (command, args) => startChild(command, args, TALKER);

function startChild(command: string, args: readonly string[], options: typeof RESIDENT | typeof TALKER): Talker {
  let child: ResultPromise<typeof options>;
  try {
    child = execa(command, args, options);
  } catch (cause) {
    return stillborn(notStarted(command, cause));
  }
  // Writing to a child that just died raises EPIPE here; its end is what gets reported.
  child.stdin.on('error', () => undefined);
  return {
    pid: child.pid,
    write: (data) => void child.stdin.write(data),
    onOutput: (listener) => void child.stdout?.on('data', listener),
    onErrorOutput: (listener) => void child.stderr.setEncoding('utf8').on('data', listener),
    onEnd: (listener) => {
      void child.then((result) => listener(new CommandError(`${command}: ${result.shortMessage ?? 'ended'}`)));
    },
    // One that was stopped would keep any other signal for the day on which it is continued.
    kill: () => void child.kill('SIGKILL'),
  };
}

/** One that could not be started is to its owner one that ended at once. */
const stillborn = (cause: Error): Talker => ({
  pid: undefined,
  write: () => undefined,
  onOutput: () => undefined,
  onErrorOutput: () => undefined,
  onEnd: (listener) => queueMicrotask(() => listener(cause)),
  kill: () => undefined,
});

/**
 * Milliseconds that a program may take to load this text and list it: twenty times what nft takes on a busy machine. Whoever waits
 * for a comparison waits no longer than that for one that hangs.
 */
export const patienceFor = (text: string): number => 10_000 + text.length / 100;
