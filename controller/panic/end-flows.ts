/** Forgets the connections of sealed containers: what was open before a panic must not go on after it. */
import type { DesiredState } from '../../render/desired.ts';
import { removeFlows, type TrackedFlows } from '../connections/tracked-flows.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { isSealed, type PanicState } from './panic-state.ts';

/**
 * To be called once they are sealed; takes a while where there are many. `present` is asked before each, so that the end
 * of the panic ends it. @returns how many were forgotten. @throws CommandError where they can't be read.
 */
export async function endSealedFlows(
  flows: TrackedFlows,
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
