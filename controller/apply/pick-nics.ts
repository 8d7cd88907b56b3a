import type { DesiredState } from '../../render/desired.ts';

/** The part of a state that these NICs are. */
export const pickNics = (state: DesiredState, keys: readonly string[]): DesiredState => ({
  ...state,
  nics: new Map(keys.flatMap((key) => [state.nics.get(key)].flatMap((nic) => (nic === undefined ? [] : [[key, nic]])))),
});
