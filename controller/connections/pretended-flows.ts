/** Cuts what others began in the name of an address, or with it, while it was nobody's: it is a container's now. */
import { contains, type Prefix, rangeOf } from '../../render/address.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { verdictOfFlow } from '../explain/explain.ts';
import type { FlowHost } from '../explain/flow-sides.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { type Log, messageOf } from '../log.ts';
import { inTurns, removeFlows, type TrackedFlow, type TrackedFlows } from './tracked-flows.ts';
import type { WatchedFlows } from './watched-flows.ts';

/** What NICs own that they did not before, by their keys. */
export type NewlyOwned = ReadonlyMap<string, readonly Prefix[]>;

export interface PretendedFlowCutter {
  /** They are about to be a container's: what there is of them is read beside all else that its start takes. */
  expect(prefixes: readonly Prefix[]): void;
  /** By rules that are in force already, so that no more of it can begin. */
  cut(host: FlowHost, come: NewlyOwned): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** Of a program that may be killed or lack descriptors; after that nobody waits for it any more, but it is tried again. */
const TRIES = 3;

/** At once, since the container's ingress is not asked about them; one reading of the table for all that waits. */
export function createPretendedFlowCutter(
  flows: Pick<TrackedFlows, 'read' | 'remove'>,
  watched: Pick<WatchedFlows, 'begin' | 'take'>,
  log: Log,
): PretendedFlowCutter {
  let waiting = new Map<string, readonly Prefix[]>();
  let latest: FlowHost | undefined;
  let working: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  const retryTimes = createRetryTimes();

  async function end(host: FlowHost, come: NewlyOwned, left = TRIES): Promise<void> {
    const prefixes = [...new Set([...come.values()].flat())];
    try {
      const known = left === TRIES ? await watched.take(prefixes) : undefined;
      const read = known === undefined ? flows.read : () => inTurns(known);
      const count = await removeFlows({ ...flows, read }, prefixes, (flow) => isPretended(host, flow, come));
      if (count > 0) log('info', `${count} connections cut that began before their address was a container's`);
    } catch (cause) {
      if (left > 1) return await end(host, come, left - 1);
      note(come);
      throw cause;
    }
  }

  async function work(): Promise<void> {
    try {
      while (waiting.size > 0 && latest !== undefined) {
        const come = waiting;
        waiting = new Map();
        await end(latest, come);
      }
      retryTimes.reset();
    } catch (cause) {
      log('error', `connections from before an address was a container's: ${messageOf(cause)}; trying again`);
      // One for all that waits, however many came meanwhile.
      clearTimeout(retry);
      retry = setTimeout(begin, retryTimes.next()).unref();
    } finally {
      working = undefined;
    }
  }

  function note(come: NewlyOwned): void {
    for (const [key, prefixes] of come) waiting.set(key, [...new Set([...(waiting.get(key) ?? []), ...prefixes])]);
  }

  function begin(): void {
    if (waiting.size > 0) working ??= work();
  }

  return {
    expect: (prefixes) => watched.begin(prefixes),
    cut: (host, come) => {
      latest = host;
      note(come);
      begin();
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

const TCP = 6;

/**
 * What comes in as an answer is asked no policy. So a stranger who sends from a stopped container's address, and is
 * answered, would have a way to it once it runs: of what is from there, the container itself can hardly have begun anything.
 * An answer of TCP opens nothing in a container that never asked, whereas a connection of its own would end for good.
 */
function isPretended(host: FlowHost, flow: TrackedFlow, come: NewlyOwned): boolean {
  if (flow.protocol === TCP) return verdictOfFlow(host, flow) !== 'allow';
  const sender = nicIndexOf(host.desired).ownerOf(flow.source);
  const fresh = sender === undefined ? undefined : come.get(sender.key);
  if (fresh?.some((prefix) => contains(rangeOf(prefix), flow.source)) === true) return true;
  return verdictOfFlow(host, flow) !== 'allow';
}
