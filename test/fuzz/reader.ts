/** What the fuzz needs to know of a reader of texts from outside. */

export interface Reader {
  readonly name: string;
  readonly corpus: readonly string[];
  /** May throw an error of its own kind; anything else is a crash. */
  readonly read: (text: string) => unknown;
  /** What of it becomes a word of a command. */
  readonly words?: (text: string) => readonly string[];
  /** Characters of the longest text that it can meet. */
  readonly longest: number;
}

/** A line is cut there, see line-splitter. */
export const LINE = 65_536;
export const FILE = 256 * 1024;

/** A command that prints that, whatever it is asked. */
export const answering = (stdout: string) => async () => ({ stdout, stderr: '', exitCode: 0 });
