/** NICs by what each of them has, carried from state to state by those that changed. */
import { changedNicKeys } from './changed-nics.ts';
import type { DesiredState, NicState } from './desired.ts';

type OfNics = Pick<DesiredState, 'nics'>;

/** @returns who has what in a state, by keys of NICs; what it told of another state before is that no more. */
export function followNicsBy<P>(
  partsOf: (nic: NicState) => Iterable<P>,
): (state: OfNics) => ReadonlyMap<P, ReadonlySet<string>> {
  const found = new Map<P, Set<string>>();
  let nics: OfNics['nics'] = new Map();
  const add = (key: string, part: P): void => void found.set(part, (found.get(part) ?? new Set()).add(key));
  const remove = (key: string, part: P): void => {
    const having = found.get(part);
    having?.delete(key);
    if (having?.size === 0) found.delete(part);
  };
  const each = (key: string, nic: NicState | undefined, act: (key: string, part: P) => void): void => {
    if (nic !== undefined) for (const part of partsOf(nic)) act(key, part);
  };
  return (state) => {
    for (const key of changedNicKeys({ nics }, state)) {
      each(key, nics.get(key), remove);
      each(key, state.nics.get(key), add);
    }
    nics = state.nics;
    return found;
  };
}
