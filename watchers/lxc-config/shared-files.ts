/** For one reading of many configurations: a file that thousands include is read and split once. */
import type { LxcFiles } from './config.ts';
import { type Entry, splitLines } from './split-lines.ts';

export interface SharedFiles extends LxcFiles {
  readonly split: (text: string) => readonly Entry[];
}

/** What can't be read is looked at again each time, to be complained about at each place. */
export function shareFiles(disk: LxcFiles): SharedFiles {
  return { read: once(disk.read), list: once(disk.list), split: once(splitLines) };
}

function once<T>(ask: (of: string) => T): (of: string) => T {
  const known = new Map<string, { readonly answer: T }>();
  return (of) => {
    const before = known.get(of);
    if (before !== undefined) return before.answer;
    const answer = ask(of);
    known.set(of, { answer });
    return answer;
  };
}
