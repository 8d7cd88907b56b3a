/** Cuts the live connections that a tightened policy no longer allows, and only those. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Prefix } from '../../render/address.ts';
import { verdictOfFlow } from '../explain/explain.ts';
import type { FlowHost } from '../explain/flow-sides.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { type Log, messageOf } from '../log.ts';
import { createReopenedFlows } from './reopened-flows.ts';
import { removeFlows, type TrackedFlow, type TrackedFlows } from './tracked-flows.ts';

export interface FlowCutter {
  /**
   * Rules that are being brought into force: nobody else knows when they are, so what they allow is spared until `cut` tells of
   * them, or of others. `undefined`: they never were in force.
   */
  expect(coming: FlowHost | undefined): void;
  /** Judges soon what is tracked of those NICs. `host`: takes the place of all that was told before. */
  cut(host: FlowHost, keys: readonly string[]): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** A policy file that is just being written may be read half: what that forbids, the next pass allows again. */
const SETTLE_MS = 200;
/** After a failure; twice as long after each further one. */
const RETRY_MS = { first: 500, most: 60_000 };

/** Off the event's path, one reading of the table for all that waits. */
export function createFlowCutter(flows: Pick<TrackedFlows, 'read' | 'remove' | 'shut'>, log: Log): FlowCutter {
  const waiting = new Set<string>();
  let latest: FlowHost | undefined;
  let coming: FlowHost | undefined;
  let working: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let retryMs = RETRY_MS.first;
  const reopened = createReopenedFlows(flows.shut);

  async function work(): Promise<void> {
    try {
      while (waiting.size > 0) await judge();
      retryMs = RETRY_MS.first;
    } catch (cause) {
      log('error', `connections that are no longer allowed: ${messageOf(cause)}; trying again in ${retryMs} ms`);
      // One for all that waits, and the daemon's end doesn't wait for it: the next run judges all flows.
      clearTimeout(retry);
      retry = setTimeout(begin, retryMs).unref();
      retryMs = Math.min(2 * retryMs, RETRY_MS.most);
    } finally {
      // Not later than this: keys that come in between would wait for work that is over.
      working = undefined;
    }
  }

  async function judge(): Promise<void> {
    await sleep(SETTLE_MS);
    const keys = new Set(waiting);
    waiting.clear();
    try {
      // Not the host of the moment that the keys were told: what was allowed again meanwhile must live.
      const { cut, spared } = await cutForbidden(flows, () => ({ latest, coming }), keys);
      for (const [container, { length }] of cut) tell(container, length);
      for (const key of spared) waiting.add(key);
      reopened.end([...cut.values()].flat(), (flow) => isForbidden(latest, flow) && !isAllowed(coming, flow));
    } catch (cause) {
      for (const key of keys) waiting.add(key);
      throw cause;
    }
  }

  function begin(): void {
    if (waiting.size > 0) working ??= work();
  }

  function tell(container: string, count: number): void {
    const what = count === 1 ? '1 connection' : `${count} connections`;
    const fields = { EVENT: 'cut', CONTAINER: container } as const;
    log('info', `${container}: ${what} cut that the policies no longer allow`, fields);
  }

  return {
    expect: (host) => {
      coming = host;
    },
    cut: (host, keys) => {
      latest = host;
      coming = undefined;
      for (const key of keys) waiting.add(key);
      begin();
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

interface Cut {
  /** By container. */
  readonly cut: ReadonlyMap<string, readonly TrackedFlow[]>;
  /** The keys of those that are to be judged again. */
  readonly spared: ReadonlySet<string>;
}

interface Hosts {
  readonly latest: FlowHost | undefined;
  readonly coming: FlowHost | undefined;
}

/** @throws CommandError when the table can't be read. */
async function cutForbidden(
  flows: Pick<TrackedFlows, 'read' | 'remove'>,
  hosts: () => Hosts,
  keys: ReadonlySet<string>,
): Promise<Cut> {
  const cut = new Map<string, TrackedFlow[]>();
  const spared = new Set<string>();
  await removeFlows(flows, ownedBy(hosts().latest, keys), (flow) => {
    const { latest, coming } = hosts();
    const owner = latest === undefined ? undefined : concernedBy(latest, flow, keys);
    if (owner === undefined) return false;
    // Once it is allowed, nothing is to keep it away; nobody is told of that.
    if (isAllowed(latest, flow)) return flow.isShut === true;
    if (flow.isShut === true) return false;
    if (isAllowed(coming, flow)) {
      spared.add(owner.key);
      return false;
    }
    const { container } = owner.nic;
    const already = cut.get(container);
    if (already === undefined) cut.set(container, [flow]);
    else already.push(flow);
    return true;
  });
  return { cut, spared };
}

/** Where nothing is known of a host, neither. */
const isAllowed = (host: FlowHost | undefined, flow: TrackedFlow): boolean =>
  host !== undefined && verdictOfFlow(host, flow) === 'allow';
const isForbidden = (host: FlowHost | undefined, flow: TrackedFlow): boolean =>
  host !== undefined && verdictOfFlow(host, flow) !== 'allow';

const ownedBy = (host: FlowHost | undefined, keys: ReadonlySet<string>): Prefix[] => [
  ...new Set([...keys].flatMap((key) => host?.desired.nics.get(key)?.owned ?? [])),
];

/** The one of those NICs that is an end of the flow. */
function concernedBy({ desired }: FlowHost, { source, destination }: TrackedFlow, keys: ReadonlySet<string>) {
  const { ownerOf } = nicIndexOf(desired);
  const owners = [source, destination].flatMap((address) => ownerOf(address) ?? []);
  return owners.find(({ key }) => keys.has(key));
}
