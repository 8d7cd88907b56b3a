/** Runs routing changes through a resident `ip -force -batch -`; unlike nft's, each line stands alone. */
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { type Channel, openChannel } from './channel.ts';
import { CommandError, type StartResident } from './run.ts';

export interface FailedLine {
  readonly line: string;
  readonly message: string;
}

export interface IpChannel {
  /** @returns the lines that failed; the others are done. @throws CommandError when nothing is known. */
  run(lines: readonly string[]): Promise<FailedLine[]>;
  stop(): void;
}

/** Behind what needs the first one: to fork a large process keeps everybody waiting. */
const SPARE_MS = 200;

/** `exists`: whether the kernel has an interface of that name. */
export function openIpChannel(start: StartResident, exists: (dev: InterfaceName) => boolean): IpChannel {
  const open = (): Channel =>
    openChannel({
      command: 'ip',
      args: ['-force', '-batch', '-'],
      start,
      complaintAbout: (word) => new RegExp(`Object "${word}" is unknown[^\\n]*\\nCommand failed -:(\\d+)\\n`),
      timeout: 60_000,
    });
  let channel = open();
  let spare = open();
  let timer: NodeJS.Timeout | undefined;
  /** Whoever makes interfaces anew under their names once will do so again, with each start of a container. */
  function renew(): void {
    channel.stop();
    [channel, spare] = [spare, open()];
    clearTimeout(timer);
    timer = setTimeout(() => spare.begin(), SPARE_MS).unref();
  }
  async function send(lines: readonly string[]): Promise<FailedLine[]> {
    if (lines.length === 0) return [];
    try {
      const { output, isCut, complaint } = await channel.send(lines.join('\n'));
      if (isCut) throw new CommandError('ip: more failures than can be told');
      return parseFailures(output, lines, Number(complaint[1]));
    } catch (cause) {
      if (!isRefusal(cause)) throw cause;
      return lines.length > 1 ? await sendOneByOne(lines) : lines.map((line) => ({ line, message: cause.message }));
    }
  }
  /** As that of a container which has just stopped. */
  function isGone(line: string): boolean {
    const dev = parseInterfaceName(/ dev (\S+)/.exec(line)?.[1] ?? '');
    return dev !== undefined && !exists(dev);
  }
  /** What was done already is done once more, or says that it was. */
  async function sendOneByOne(lines: readonly string[]): Promise<FailedLine[]> {
    const failures: FailedLine[] = [];
    for (const line of lines) failures.push(...(await send([line])));
    return failures;
  }
  return {
    run: async (lines) => {
      const failures = await send(lines);
      const failed = failures.filter(
        ({ line, message }) => line.includes(' replace ') && !NOT_UP.test(message) && !isGone(line),
      );
      if (failed.length === 0) return failures;
      // ip remembers the index of each name for as long as it lives: to it, an interface that was made anew under the
      // same name (`veth.pair`) is gone. Indexes don't come back, so that it fails and never hits another one.
      renew();
      const again = await send(failed.map(({ line }) => line));
      return [...failures.filter((failure) => !failed.includes(failure)), ...again];
    },
    stop: () => {
      clearTimeout(timer);
      for (const each of [channel, spare]) each.stop();
    },
  };
}

/** The interface was found: `Error: Device for nexthop is not up.`, `RTNETLINK answers: Network is down` */
const NOT_UP = /is not up|is down/;

/** iproute2 exits over a neighbour proxy that the kernel refuses, one that is gone for example, whatever -force says. */
const isRefusal = (cause: unknown): cause is CommandError =>
  cause instanceof CommandError && cause.message.includes('RTNETLINK answers: ');

/**
 * ip counts lines from its own start; `end` is the number of the line after our last one. The message stands before
 * `Command failed -:17`, and names no line itself.
 */
export function parseFailures(output: string, lines: readonly string[], end: number): FailedLine[] {
  const failures: FailedLine[] = [];
  let message: string[] = [];
  for (const text of output.split('\n')) {
    const [, number] = /^Command failed -:(\d+)$/.exec(text) ?? [];
    if (number === undefined) {
      message.push(text);
      continue;
    }
    const line = lines[Number(number) - (end - lines.length)];
    if (line !== undefined) failures.push({ line, message: message.join(' ').trim() });
    message = [];
  }
  return failures;
}
