/** What a command may touch of the outside: two streams, the environment, and the programs of the system. */
import pico from 'picocolors';
import type { Run } from '../commands/run.ts';
import type { ReadingRun } from './reading-run.ts';

export interface Io {
  readonly out: Stream;
  readonly err: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  /** Where relative files start. */
  readonly folder: string;
  /** Loaded by whoever starts a program, since that costs more than most commands do. */
  readonly loadRun: () => Promise<Run>;
  /** The same for what only reads, or does nothing the second time: it may be started again. */
  readonly loadReader: () => Promise<Run>;
}

export interface Stream {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
}

export type Colours = ReturnType<typeof pico.createColors>;

/** https://no-color.org: present and not empty means none. */
export function coloursFor(stream: Stream, { env }: Pick<Io, 'env'>, wanted: boolean): Colours {
  const refused = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return pico.createColors(wanted && stream.isTerminal && !refused);
}

/** The process's own. A reader that has seen enough (`| head`) ends it quietly. `end`: of what was started. */
export function processIo(): Io & { readonly end: () => Promise<void> } {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (cause: Error) => {
      if ('code' in cause && cause.code === 'EPIPE') process.exit();
      throw cause;
    });
  }
  let reading: Promise<ReadingRun> | undefined;
  const openReading = async () => (await import('./reading-run.ts')).openReadingRun();
  return {
    out: { write: (text) => void process.stdout.write(text), isTerminal: process.stdout.isTTY === true },
    err: { write: (text) => void process.stderr.write(text), isTerminal: process.stderr.isTTY === true },
    env: process.env,
    isRoot: process.getuid?.() === 0,
    folder: process.cwd(),
    loadRun: async () => (await import('../commands/run.ts')).run,
    loadReader: async () => {
      reading ??= openReading();
      return (await reading).run;
    },
    end: async () => (await reading)?.stop(),
  };
}
