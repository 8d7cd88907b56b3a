/**
 * Starts commands from a small process. A fork copies the page tables of the process that forks, which stands still meanwhile:
 * the larger the daemon, the longer (bench/README.md). perl-base is part of every Debian system.
 */
import { PassThrough } from 'node:stream';
import { PROGRAM } from './fork-program.ts';
import { killChild, killTree } from './kill-tree.ts';
import {
  CommandError,
  type CommandResult,
  failureOf,
  linesFrom,
  type Run,
  type RunOptions,
  STREAM_MS,
  type StartTalker,
  type StreamLines,
  type Talker,
} from './run.ts';

/** One that says nothing for so long, though it was asked to begin something, is stopped or stuck. */
const BEGIN_MS = 1_000;
/** One that ended isn't started again before. */
const RESTART_MS = 10_000;
const HEAD = 9;

/** As the program reads it. */
function frameOf(words: readonly string[], input: string): Buffer {
  const [command, fed] = [Buffer.from(words.join('\0')), Buffer.from(input)];
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(command.length, 0);
  lengths.writeUInt32BE(fed.length, 4);
  return Buffer.concat([lengths, command, fed]);
}

/** Of what the program tells. One frame may come in many pieces, which are put together once. */
function splitFrames(take: (id: number, kind: string, data: Buffer) => void): (data: Buffer) => void {
  let pieces: Buffer[] = [];
  let held = 0;
  let wanted = HEAD;
  return (data) => {
    pieces.push(data);
    held += data.length;
    if (held < wanted) return;
    let rest = pieces.length === 1 ? data : Buffer.concat(pieces);
    const isWhole = (): boolean => {
      wanted = rest.length < HEAD ? HEAD : HEAD + rest.readUInt32BE(5);
      return rest.length >= wanted;
    };
    while (isWhole()) {
      take(rest.readUInt32BE(0), rest.toString('latin1', 4, 5), rest.subarray(HEAD, wanted));
      rest = rest.subarray(wanted);
    }
    pieces = rest.length === 0 ? [] : [rest];
    held = rest.length;
  };
}

interface Job {
  pid?: number;
  readonly onOutput: (data: Buffer) => void;
  readonly errors: Buffer[];
  /** `undefined`: there is no answer. */
  readonly settle: (status: number | undefined) => void;
  readonly giveUp: (why: unknown) => void;
}

/** How commands are started without it. */
export interface Direct {
  readonly run: Run;
  readonly stream: StreamLines;
}

export interface ForkServer extends Direct {
  /** For commands that only read, or do nothing the second time: where the server fails, they are started again, without it. */
  readonly run: Run;
  /** The same, and for what tells little: it is taken however slowly somebody reads it. What was told before the server failed may come twice. */
  readonly stream: StreamLines;
  stop(): void;
}

export function openForkServer(start: StartTalker, direct: Direct): ForkServer {
  const jobs = new Map<number, Job>();
  let server: Talker | undefined;
  let notBefore = 0;
  let last = 0;
  let lastHeard = 0;

  const lose = (lost: Talker): void => {
    if (server !== lost) return;
    server = undefined;
    notBefore = performance.now() + RESTART_MS;
    lost.kill();
    for (const { settle } of [...jobs.values()]) settle(undefined);
  };

  const take = (from: Talker, id: number, kind: string, data: Buffer): void => {
    const job = jobs.get(id);
    if (kind === 'p') {
      const pid = Number(data);
      if (job !== undefined) job.pid = pid;
      else if (from.pid !== undefined) killChild(from.pid, pid);
    } else if (kind === 'x') job?.settle(Number(data));
    else if (kind === 'o') job?.onOutput(data);
    else if (kind === 'e') job?.errors.push(data);
  };

  const started = (): Talker | undefined => {
    if (server !== undefined || performance.now() < notBefore) return server;
    const fresh = start('perl', ['-e', PROGRAM]);
    const split = splitFrames((id, kind, data) => take(fresh, id, kind, data));
    fresh.onOutput((data) => {
      lastHeard = performance.now();
      split(data);
    });
    fresh.onErrorOutput(() => undefined);
    fresh.onEnd(() => lose(fresh));
    server = fresh;
    return fresh;
  };

  /** `undefined` where it didn't end by itself: without the server it says why in words of its own. */
  const ask = (
    through: Talker,
    words: readonly string[],
    { input = '', timeout = 30_000, signal }: RunOptions,
    onOutput: (data: Buffer) => void,
  ): Promise<Omit<CommandResult, 'stdout'> | undefined> => {
    last += 1;
    const id = last;
    const errors: Buffer[] = [];
    return new Promise((resolve, reject) => {
      const end = (): void => {
        jobs.delete(id);
        clearTimeout(beginning);
        clearTimeout(patience);
        signal?.removeEventListener('abort', onAbort);
      };
      const giveUp = (why: unknown): void => {
        end();
        if (job.pid !== undefined && through.pid !== undefined) killChild(through.pid, job.pid);
        reject(why);
      };
      const onAbort = (): void => giveUp(signal?.reason);
      const job: Job = {
        onOutput,
        errors,
        giveUp,
        settle: (status) => {
          end();
          const isExit = status !== undefined && status >= 0 && (status & 0xff) === 0;
          resolve(isExit ? { stderr: Buffer.concat(errors).toString('utf8'), exitCode: status >> 8 } : undefined);
        },
      };
      let beginning: NodeJS.Timeout | undefined;
      const awaitBegin = (ms: number): void => {
        // What came while this thread had no time is taken first.
        beginning = setTimeout(() => setImmediate(expectBegun), ms);
      };
      // Behind many others, on a slow machine, its turn comes late.
      const expectBegun = (): void => {
        if (jobs.get(id) !== job || job.pid !== undefined) return;
        const quiet = performance.now() - lastHeard;
        if (quiet < BEGIN_MS) awaitBegin(BEGIN_MS - quiet);
        else lose(through);
      };
      awaitBegin(BEGIN_MS);
      const patience = setTimeout(
        () => giveUp(new CommandError(`${words[0]}: timed out after ${timeout} ms`)),
        timeout,
      );
      signal?.addEventListener('abort', onAbort);
      jobs.set(id, job);
      through.write(frameOf([`${id}`, ...words], input));
    });
  };

  started();
  return {
    run: async (command, args, options = {}) => {
      options.signal?.throwIfAborted();
      const through = started();
      const output: Buffer[] = [];
      const ended = through && (await ask(through, [command, ...args], options, (data) => output.push(data)));
      if (ended === undefined) return await direct.run(command, args, options);
      return { stdout: Buffer.concat(output).toString('utf8'), ...ended };
    },
    stream: async function* (command, args, input) {
      const through = started();
      if (through === undefined) return yield* direct.stream(command, args, input);
      const output = new PassThrough();
      const unwanted = new AbortController();
      const options = { input, timeout: STREAM_MS, signal: unwanted.signal };
      const ended = ask(through, [command, ...args], options, (data) => output.write(data));
      const close = (): unknown => output.end();
      ended.then(close, close);
      try {
        yield* linesFrom(output);
        const result = await ended;
        if (result === undefined) yield* direct.stream(command, args, input);
        else if (result.exitCode !== 0) throw failureOf(command, result);
      } finally {
        unwanted.abort();
      }
    },
    stop: () => {
      notBefore = Number.POSITIVE_INFINITY;
      for (const { giveUp } of [...jobs.values()]) giveUp(new CommandError('stopped'));
      if (server?.pid !== undefined) killTree(server.pid);
    },
  };
}
