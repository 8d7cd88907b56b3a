/**
 * Connections of addresses that are about to be a container's, read while its rules are still being made: to look through the
 * kernel's table takes ten milliseconds, however empty it is, and its start waits until what others began is cut.
 */
import type { Prefix } from '../../render/address.ts';
import { lineSplitter } from '../../watchers/line-splitter.ts';
import type { StartTalker, Talker } from '../commands/run.ts';
import { argsOf, parseTrackedFlow, prefixText, type TrackedFlow } from './tracked-flows.ts';

export interface WatchedFlows {
  /** Reads them, and follows what comes to them, until they are taken or nobody has done so for a while. One at a time. */
  begin(prefixes: readonly Prefix[]): void;
  /**
   * Those in which one of the prefixes occurs, of the moment of this call.
   * @returns undefined where they weren't begun for all of the prefixes, or it can't be told: then the table is to be read.
   * @throws CommandError
   */
  take(prefixes: readonly Prefix[]): Promise<readonly TrackedFlow[] | undefined>;
  stop(): void;
}

/** From a hook's question to rules in force. Meanwhile each new connection of the host costs the kernel a message. */
const KEEP_MS = 1_000;
/** To read a short table, on a busy machine. */
const PATIENCE_MS = 2_000;
/** One that ended isn't started again before. */
const RESTART_MS = 10_000;
/** Where many start at once, the table is read for all of them together, and what was begun for one is of no use. */
const CROWD_MS = 1_000;

interface Taking {
  readonly lines: string[];
  readonly settle: (lines: readonly string[] | undefined) => void;
}

export function openWatchedFlows(start: StartTalker, keepMs = KEEP_MS): WatchedFlows {
  let child: Talker | undefined;
  let notBefore = 0;
  let crowdUntil = 0;
  let begun: { readonly prefixes: ReadonlySet<Prefix>; readonly timer: NodeJS.Timeout } | undefined;
  let taking: Taking | undefined;

  function lose(lost: Talker): void {
    if (child !== lost) return;
    child = undefined;
    notBefore = performance.now() + RESTART_MS;
    lost.kill();
    end();
    taking?.settle(undefined);
  }

  function end(): void {
    clearTimeout(begun?.timer);
    begun = undefined;
  }

  function hear(line: string): void {
    if (taking === undefined) return;
    if (line === 'lost') taking.settle(undefined);
    else if (line === 'end') taking.settle(taking.lines);
    else taking.lines.push(line);
  }

  function started(): Talker | undefined {
    if (child !== undefined || performance.now() < notBefore) return child;
    const fresh = start('perl', argsOf('watch'));
    const lines = lineSplitter((line) => child === fresh && hear(line));
    fresh.onOutput((data) => lines(data.toString('latin1')));
    // Whoever waits reads the table, and is told of what fails there.
    fresh.onErrorOutput(() => undefined);
    fresh.onEnd(() => lose(fresh));
    child = fresh;
    return fresh;
  }

  const drop = (): void => {
    end();
    child?.write('drop\n');
  };

  started();
  return {
    begin: (prefixes) => {
      if (begun !== undefined || taking !== undefined || prefixes.length === 0) return;
      if (performance.now() < crowdUntil) return;
      const to = started();
      if (to === undefined) return;
      begun = { prefixes: new Set(prefixes), timer: setTimeout(drop, keepMs).unref() };
      to.write(`begin ${prefixes.map(prefixText).join(' ')}\n`);
    },
    take: async (prefixes) => {
      const from = child;
      if (from === undefined || begun === undefined || taking !== undefined) return undefined;
      const known = begun.prefixes;
      if (!prefixes.every((prefix) => known.has(prefix))) {
        crowdUntil = performance.now() + CROWD_MS;
        return undefined;
      }
      end();
      const timer = setTimeout(() => lose(from), PATIENCE_MS);
      try {
        const lines = await new Promise<readonly string[] | undefined>((resolve) => {
          taking = { lines: [], settle: resolve };
          from.write(`tell ${prefixes.map(prefixText).join(' ')}\n`);
        });
        return lines?.map(parseTrackedFlow);
      } finally {
        clearTimeout(timer);
        taking = undefined;
      }
    },
    stop: () => {
      notBefore = Number.POSITIVE_INFINITY;
      if (child !== undefined) lose(child);
    },
  };
}
