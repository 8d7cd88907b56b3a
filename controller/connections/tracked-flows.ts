/** The connections that the kernel tracks: those of some addresses, and the end of them. */
import { setImmediate } from 'node:timers/promises';
import { type Address, type Family, networkOf, type Prefix, parseAddress, prefixLength } from '../../render/address.ts';
import { CommandError, type Run, runOrThrow, type StreamLines } from '../commands/run.ts';
import type { KnownFlow } from '../explain/explain.ts';
import { CONNTRACK_PROGRAM } from './conntrack-program.ts';

/** One entry, as the rules saw its first packet: with the destination that address translation gave. */
export interface TrackedFlow extends KnownFlow {
  /** Names the entry to `remove`. */
  readonly handle: string;
  /** What the sender wrote, where translation led it elsewhere. */
  readonly asked?: { readonly destination: Address; readonly port?: number };
  /** Not this flow: an entry that keeps it away. */
  readonly isShut?: true;
}

export interface TrackedFlows {
  /** Those in which a prefix occurs; a few at a time, and others get their turn in between. @throws CommandError */
  read(prefixes: readonly Prefix[]): AsyncIterable<readonly TrackedFlow[]>;
  /** What is gone already is no error. @throws CommandError */
  remove(handles: readonly string[]): Promise<void>;
  /**
   * Removes what answers have begun anew under handles of flows that were removed. Where nothing was translated, such answers begin
   * nothing more that can be answered, until their sender pauses for half a minute.
   * @throws CommandError
   */
  shut(handles: readonly string[]): Promise<void>;
  /** Removes those in which a prefix occurs. @returns how many. @throws CommandError */
  forget(prefixes: readonly Prefix[]): Promise<number>;
}

/** To read and judge this many takes about a millisecond. */
const AT_ONCE = 100;
/** Of a table that is full, on a busy host. */
const TIMEOUT_MS = 120_000;

export function trackedFlows(run: Run, streamLines: StreamLines): TrackedFlows {
  const call = async (mode: string, lines: readonly string[]): Promise<string> =>
    lines.length === 0 ? '' : runOrThrow(run, 'perl', argsOf(mode), { input: joined(lines), timeout: TIMEOUT_MS });
  return {
    read: async function* (prefixes) {
      if (prefixes.length === 0) return;
      const asked = prefixes.map(prefixText);
      // The answer about a short table needn't be followed, so that the quickest way to start a program serves.
      const few = await call('few', asked);
      const parts =
        few === 'many\n' ? streamLines('perl', argsOf('list'), joined(asked)) : [few.split('\n').slice(0, -1)];
      for await (const lines of parts) for await (const some of inTurns(lines)) yield some.map(parseTrackedFlow);
    },
    remove: async (handles) => void (await call('delete', handles)),
    shut: async (handles) => void (await call('shut', handles)),
    forget: async (prefixes) => Number(await call('forget', prefixes.map(prefixText))),
  };
}

/** A few at a time, and others get their turn in between. */
export async function* inTurns<T>(all: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < all.length; at += AT_ONCE) {
    yield all.slice(at, at + AT_ONCE);
    await setImmediate();
  }
}

/** Removed together; the rest of a long table is read meanwhile no further. */
const BATCH = 2000;

/** Of those in which a prefix occurs. @returns how many went. @throws CommandError */
export async function removeFlows(
  { read, remove }: Pick<TrackedFlows, 'read' | 'remove'>,
  prefixes: readonly Prefix[],
  isDoomed: (flow: TrackedFlow) => boolean,
): Promise<number> {
  let count = 0;
  let handles: string[] = [];
  for await (const list of read(prefixes)) {
    for (const flow of list) if (isDoomed(flow)) handles.push(flow.handle);
    if (handles.length < BATCH) continue;
    count += handles.length;
    await remove(handles);
    handles = [];
  }
  await remove(handles);
  return count + handles.length;
}

export const argsOf = (mode: string): string[] => ['-e', CONNTRACK_PROGRAM, mode];
const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
export const prefixText = (prefix: Prefix): string => `${networkOf(prefix)}/${prefixLength(prefix)}`;

/** `4 6 198.51.100.10 192.0.2.1 873 - 0234…` @throws CommandError for what the program doesn't print: to pass over it might spare what has to go. */
export function parseTrackedFlow(line: string): TrackedFlow {
  const [family, protocol, from = '', to = '', port, type, handle = '', asked, askedPort] = line.split(' ');
  const [source, destination] = [parseAddress(from), parseAddress(to)];
  const isShut = asked === 'shut';
  const written = asked === undefined || isShut ? undefined : parseAddress(asked);
  const isWhole = asked === undefined || isShut || written !== undefined;
  if (source === undefined || destination === undefined || !isWhole || !/^[0-9a-f]+$/.test(handle))
    throw new CommandError(`conntrack: unknown line "${line}"`);
  return {
    family: familyFrom(family),
    source,
    destination,
    protocol: Number(protocol),
    ...(port === '-' ? {} : { port: Number(port) }),
    ...(type === '-' ? {} : { icmpType: Number(type) }),
    handle,
    ...(isShut ? { isShut } : {}),
    ...(written === undefined
      ? {}
      : { asked: { destination: written, ...(askedPort === '-' ? {} : { port: Number(askedPort) }) } }),
  };
}

const familyFrom = (text: string | undefined): Family => (text === '6' ? 6 : 4);
