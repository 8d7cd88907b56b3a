/** Short words for what the kernel holds and for what stands in files: while they are the same, so is all of that. */
import { openChannel } from '../commands/channel.ts';
import type { StartResident } from '../commands/run.ts';
import { FILE_MARKS, renderWatched, type WatchedFiles } from './file-marks.ts';
import { NETLINK_MARKS } from './netlink-marks.ts';

export interface Marks {
  readonly kernel: string;
  /** Of those that were asked about; `undefined`: nothing is certain of them, as while they change. */
  readonly files: string | undefined;
}

export interface KernelMarks {
  /** `undefined`: nothing is certain, as while something changes, and where there is no answer in time. Never throws. */
  read(watched?: WatchedFiles, patienceMs?: number): Promise<Marks | undefined>;
  /** The same, however long it takes. */
  readPatiently(watched?: WatchedFiles): Promise<Marks | undefined>;
  /** Of the files alone, as in Marks. Never throws. */
  readFiles(watched: WatchedFiles): Promise<string | undefined>;
  stop(): void;
}

/** What takes longer costs a comparison, which is made then as if there were no marks. */
const PATIENCE_MS = 1000;
/** Whoever asks waits longer for all that would be read without them. */
export const QUESTION_MS = 5000;
/** Then it hangs. Ten thousand links take a busy machine five seconds. */
const HANGING_MS = 15_000;

const PROGRAM = String.raw`
use strict;
$0 = 'routewall: looks for changes';
$| = 1;
${NETLINK_MARKS}
${FILE_MARKS}
while (my $line = <STDIN>) {
  my ($word, @watched) = split /\s/, $line;
  if ($word ne 'look' and $word ne 'files') { print STDERR $line; next }
  my $files = @watched ? file_mark(@watched) // '-' : '-';
  print STDERR $word eq 'look' ? kernel_mark() // '-' : '-', " $files\n";
}
`;

/** One process, which begins with the first look, and anew where it ended: then with other words. */
export function openKernelMarks(start: StartResident, hangingMs = HANGING_MS): KernelMarks {
  const channel = openChannel({
    ...{ command: 'perl', args: ['-e', PROGRAM], start, timeout: hangingMs },
    complaintAbout: (word) => new RegExp(`${word}\n`),
  });
  async function ask(word: 'look' | 'files', watched?: WatchedFiles): Promise<Partial<Marks>> {
    const text = `${word} ${watched === undefined ? '' : renderWatched(watched)}`;
    const answer = await channel.send(text).catch(() => undefined);
    const [, kernel, files] = /^(?:(\d+ \d+-\d+-\d+)|-) (?:(\S+-\S+)|-)$/.exec(answer?.output ?? '') ?? [];
    return { ...(kernel !== undefined && { kernel }), files };
  }
  async function look(watched?: WatchedFiles): Promise<Marks | undefined> {
    const { kernel, files } = await ask('look', watched);
    return kernel === undefined ? undefined : { kernel, files };
  }
  return {
    read: (watched, patienceMs = PATIENCE_MS) => within(patienceMs, look(watched)),
    readPatiently: look,
    readFiles: async (watched) => (await within(QUESTION_MS, ask('files', watched)))?.files,
    stop: () => channel.stop(),
  };
}

async function within<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
