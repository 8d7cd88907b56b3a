/** Commits transactions to nftables through a resident `nft -i`: one text in, committed or refused with the place out. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Refusal } from '../apply/backend.ts';
import { openChannel } from './channel.ts';
import type { StartResident } from './run.ts';

export interface NftChannel {
  /**
   * All of the commands or none of them.
   * @returns undefined once they are in force.
   * @throws CommandError when nothing is known: read the kernel again.
   */
  commit(commands: readonly string[]): Promise<Refusal | undefined>;
  stop(): void;
  /** The process whose generations are ours. */
  readonly pid: number | undefined;
}

/**
 * `runDirectory`: where the text of a transaction lies while nft reads it. `onLost` is told when the process that may
 * own our tables went.
 */
export function openNftChannel(start: StartResident, runDirectory: string, onLost?: () => void): NftChannel {
  const file = join(runDirectory, 'transaction.nft');
  if (/["*?[\]\\\n]/.test(file))
    throw new Error(`run directory ${JSON.stringify(runDirectory)}: nft can't include from it`);
  const channel = openChannel({
    command: 'nft',
    args: ['-i'],
    start,
    ...(onLost === undefined ? {} : { onLost }),
    // "Error: syntax error, unexpected newline, expecting string", the word, and the marks below it.
    complaintAbout: (word) => new RegExp(`[^\\n]*Error: [^\\n]*\\n${word}\\n[ ~^]*\\^[ ~^]*\\n`),
    timeout: 60_000,
  });
  // One file, so one transaction at a time.
  let last: Promise<unknown> = Promise.resolve();

  async function commitNow(commands: readonly string[]): Promise<Refusal | undefined> {
    if (commands.length === 0) return undefined;
    // A line of its own for each command, so that nft's line number is the command's. Below /run, so that writing takes
    // less time than handing it to another thread.
    writeFileSync(file, `${commands.join('\n')}\n`, { mode: 0o600 });
    const { output } = await channel.send(`include "${file}"`);
    return output === '' ? undefined : parseRefusal(output, file, commands);
  }

  return {
    commit: (commands) => {
      const refusal = last.then(() => commitNow(commands));
      last = refusal.catch(() => undefined);
      return refusal;
    },
    stop: () => channel.stop(),
    get pid() {
      return channel.pid;
    },
  };
}

/** `/run/routewall/transaction.nft:3:1-20: Error: Could not process rule: No such file or directory` */
export function parseRefusal(output: string, file: string, commands: readonly string[]): Refusal {
  const at = output.indexOf(`${file}:`);
  const [, line = '', message = ''] =
    /^:(\d+):[\d-]+: (?:Error: )?([^\n]*)/.exec(at < 0 ? '' : output.slice(at + file.length)) ?? [];
  return { command: commands[Number(line) - 1], message: message === '' ? (output.split('\n')[0] ?? output) : message };
}
