/** Cuts live flows that are translated as no policy says any more, or not as it says now, and only those. */
import { hostPrefix, type Prefix, parseAddress } from '../../render/address.ts';
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { type Log, messageOf } from '../log.ts';
import { createReopenedFlows } from './reopened-flows.ts';
import { removeFlows, type TrackedFlow, type TrackedFlows } from './tracked-flows.ts';

/** Of one published port: where it led, and where it leads; `undefined`: nowhere else. */
export interface Retargeted {
  before?: string;
  after?: string;
}

/** By `PROTOCOL ADDRESS PORT`; targets are `ADDRESS PORT`. */
export type Retargetings = ReadonlyMap<string, Retargeted>;

/** The published ports that lead elsewhere than before. */
export function changedTargets(before: DesiredState | undefined, after: DesiredState): Map<string, Retargeted> {
  const changes = new Map<string, Retargeted>();
  const keys = before === undefined ? [...after.nics.keys()] : changedNicKeys(before, after);
  const entryOf = (place: string): Retargeted => {
    const entry = changes.get(place) ?? {};
    changes.set(place, entry);
    return entry;
  };
  for (const key of keys) {
    for (const [place, target] of targetsOf(before?.nics.get(key))) entryOf(place).before = target;
    for (const [place, target] of targetsOf(after.nics.get(key))) entryOf(place).after = target;
  }
  for (const [place, { before: old, after: now }] of changes) if (old === now) changes.delete(place);
  return changes;
}

function* targetsOf(nic: NicState | undefined): Generator<[string, string]> {
  for (const { protocol, on, ports, to, toPort } of nic?.nat?.publications ?? []) {
    for (let port = ports.first; port <= ports.last; port += 1)
      yield [`${protocol} ${on} ${port}`, `${to} ${port - ports.first + toPort}`];
  }
}

const UDP = 17;

/**
 * What others translate is theirs. A datagram's flow that began while nobody published the port would go on without
 * translation as long as its client sends; a connection of the host's own service goes on until it ends.
 */
export function isMistranslated(changes: Retargetings, flow: TrackedFlow): boolean {
  const { protocol, destination, port, asked = { destination, ...(port === undefined ? {} : { port }) } } = flow;
  const change = changes.get(`${protocol} ${asked.destination} ${asked.port}`);
  if (change === undefined) return false;
  const actual = `${destination} ${port}`;
  if (actual === change.after) return false;
  if (flow.asked === undefined) return change.after !== undefined && protocol === UDP;
  return actual === change.before;
}

export interface TranslationCutter {
  cut(before: DesiredState | undefined, after: DesiredState): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** Off the event's path, one reading of the table for all that waits. */
export function createTranslationCutter(flows: Pick<TrackedFlows, 'read' | 'remove'>, log: Log): TranslationCutter {
  let waiting = new Map<string, Retargeted>();
  let working: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  const retryTimes = createRetryTimes();
  const reopened = createReopenedFlows(flows.remove);

  async function work(): Promise<void> {
    try {
      while (waiting.size > 0) await cutWaiting();
      retryTimes.reset();
    } catch (cause) {
      const retryMs = retryTimes.next();
      log('error', `flows of published ports that changed: ${messageOf(cause)}; trying again in ${retryMs} ms`);
      // One for all that waits, however many came meanwhile.
      clearTimeout(retry);
      retry = setTimeout(begin, retryMs).unref();
    } finally {
      working = undefined;
    }
  }

  async function cutWaiting(): Promise<void> {
    const changes = waiting;
    waiting = new Map();
    try {
      const cut: TrackedFlow[] = [];
      const isDoomed = (flow: TrackedFlow): boolean => flow.isShut !== true && isMistranslated(changes, flow);
      const count = await removeFlows(flows, concerned(changes), (flow) => isDoomed(flow) && cut.push(flow) > 0);
      reopened.end(cut, isDoomed);
      if (count > 0) log('info', `${count} flows cut that published ports lead elsewhere now`, { EVENT: 'cut' });
    } catch (cause) {
      const since = waiting;
      waiting = changes;
      for (const [place, change] of since) note(place, change);
      throw cause;
    }
  }

  /** Where it led before the first change that waits is what counts. */
  function note(place: string, change: Retargeted): void {
    const known = waiting.get(place);
    waiting.set(place, known?.before === undefined ? change : { ...change, before: known.before });
  }

  function begin(): void {
    if (waiting.size > 0) working ??= work();
  }

  return {
    cut: (before, after) => {
      for (const [place, change] of changedTargets(before, after)) note(place, change);
      begin();
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

/** Whose flows have to be read: containers that ports led to, and addresses with ports for datagrams that lead now. */
function concerned(changes: Retargetings): Prefix[] {
  const texts = [...changes].flatMap(([place, { before, after }]) => [
    ...(before === undefined ? [] : [before.split(' ')[0]]),
    ...(after !== undefined && place.startsWith(`${UDP} `) ? [place.split(' ')[1]] : []),
  ]);
  return [...new Set(texts)].flatMap((text) => {
    const address = parseAddress(text ?? '');
    return address === undefined ? [] : [hostPrefix(address)];
  });
}
