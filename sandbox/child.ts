/** A long-running child process whose output is read line by line. */
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { atEnd } from './clean-up.ts';
import { childEnvironment } from './mark.ts';

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Called with each line of standard output, which is then not collected. */
  readonly onLine?: (line: string) => void;
}

interface Exit {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

export interface Child {
  readonly pid: number;
  /** All lines so far, of standard output and standard error in order of arrival. */
  readonly lines: readonly string[];
  readonly exited: Promise<Exit>;
  /** The first line, past or to come, that matches; throws with the last lines at the deadline or the child's end. */
  waitForLine(pattern: RegExp, options?: { readonly timeout?: number; readonly after?: number }): Promise<string>;
  write(text: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal (SIGTERM) and waits for the end; after 5 s SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

/** Starts it; it is stopped at the latest by `cleanUp()`. */
export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const { env = {}, cwd = '/', onLine } = options;
  const title = [command, ...args].join(' ');
  const child = execa(command, args, {
    reject: false,
    buffer: false,
    stdin: 'pipe',
    cwd,
    env: { ...childEnvironment(), ...env },
    extendEnv: false,
    forceKillAfterDelay: 5_000,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${title}: could not be started`);
  const lines: string[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  const collect = (line: string): void => {
    lines.push(line);
    news.emit('news');
  };
  const drained = [closeOf(child.stdout, onLine ?? collect), closeOf(child.stderr, collect)];
  child.once('exit', () => {
    const giveUp = (): void => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(giveUp, DRAIN_MS);
    Promise.all(drained).then(() => clearTimeout(timer), ignored);
  });
  // A child that ends while we write to it is told by `exited`.
  child.stdin.on('error', () => undefined);
  const exited = child.then(async ({ exitCode, signal }) => {
    await Promise.all(drained);
    unregister().catch(() => undefined);
    news.emit('news');
    return { exitCode, signal };
  });
  let ended = false;
  exited.then(() => {
    ended = true;
  }, ignored);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> => {
    child.kill(signal);
    return await exited;
  };
  const unregister = atEnd(`stop ${title}`, async () => {
    if (!ended) await stop();
  });
  const waitForLine: Child['waitForLine'] = async (pattern, { timeout = 20_000, after = 0 } = {}) => {
    const deadline = AbortSignal.timeout(timeout);
    for (let next = after; ; ) {
      for (; next < lines.length; next++) {
        const line = lines[next];
        if (line !== undefined && pattern.test(line)) return line;
      }
      if (ended || deadline.aborted) {
        const why = ended ? 'ended' : `was silent for ${timeout} ms`;
        throw new Error(`${title}: ${why} without a line ${pattern}; its last:\n${lines.slice(-20).join('\n')}`);
      }
      await once(news, 'news', { signal: deadline }).catch(ignored);
    }
  };
  return {
    pid,
    lines,
    exited,
    waitForLine,
    write: (text) => void child.stdin.write(text),
    signal: (signal) => void child.kill(signal),
    stop,
  };
}

const ignored = (): void => undefined;

/** What a child left behind may hold its output open; all that the child itself wrote is read long before. */
const DRAIN_MS = 2_000;

/** Settles at the stream's end, so that an exit is told after the last line. */
async function closeOf(stream: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  reader.on('line', onLine);
  // A stream that is given up has no end of its own.
  stream.once('close', () => reader.close());
  await once(reader, 'close');
}
