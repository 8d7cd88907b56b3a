/** Forgets the connections of sealed containers: what was open before a panic must not go on after it. */
import type { DesiredState } from '../../render/desired.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { removeFlows, type TrackedFlows } from '../connections/tracked-flows.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { type Log, messageOf } from '../log.ts';
import { isPanic, isSealed, type PanicState } from './panic-state.ts';

type Removable = Pick<TrackedFlows, 'read' | 'remove'>;

interface Sealed {
  /** Whose connections they are; `undefined` before the first pass. */
  readonly desired: () => DesiredState | undefined;
  readonly present: () => PanicState;
}

/** @returns what begins it, nobody waiting for it; what can't be done then is tried again while the panic lasts. */
export function createSealedFlowEnder(flows: Removable, log: Log, { desired, present }: Sealed): () => void {
  const retryTimes = createRetryTimes();
  let retry: NodeJS.Timeout | undefined;

  function later(cause: unknown): void {
    const retryMs = retryTimes.next();
    log('error', `panic: connections of sealed containers: ${messageOf(cause)}; trying again in ${retryMs} ms`);
    retry = setTimeout(begin, retryMs).unref();
  }

  function begin(): void {
    clearTimeout(retry);
    const enforced = desired();
    if (enforced === undefined || !isPanic(present())) return;
    endSealedFlows(flows, enforced, present).then((count) => {
      retryTimes.reset();
      log('info', `panic: ${count} connections of sealed containers are forgotten`, { EVENT: 'cut' });
    }, later);
  }

  return begin;
}

/**
 * To be called once they are sealed; takes a while where there are many. `present` is asked before each, so that the end
 * of the panic ends it. @returns how many were forgotten. @throws CommandError where they can't be read.
 */
export async function endSealedFlows(
  flows: Removable,
  desired: DesiredState,
  present: () => PanicState,
): Promise<number> {
  const { ownerOf } = nicIndexOf(desired);
  const sealed = [...desired.nics.values()].filter(({ container }) => isSealed(present(), container));
  const prefixes = [...new Set(sealed.flatMap(({ owned }) => owned))];
  return removeFlows(flows, prefixes, ({ source, destination }) =>
    [source, destination].some((address) => {
      const owner = ownerOf(address);
      return owner !== undefined && isSealed(present(), owner.nic.container);
    }),
  );
}
