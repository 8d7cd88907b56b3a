import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Routing } from '../../render/routing.ts';

export const NO_ROUTING: Routing = { gateways: [], routes: [], proxies: [] };

/** The part of a state that these NICs are. */
export const pickNics = (state: DesiredState, keys: readonly string[]): DesiredState => ({
  ...state,
  nics: new Map(keys.flatMap((key) => [state.nics.get(key)].flatMap((nic) => (nic === undefined ? [] : [[key, nic]])))),
});

/** Of those keys, the ones whose routing may differ: an edit of rules keeps it, and mostly it is a thousand's. */
export const keysOfMoved = (before: DesiredState, after: DesiredState, keys: readonly string[]): string[] =>
  keys.filter((key) => {
    const [old, now] = [before.nics.get(key), after.nics.get(key)];
    return old === undefined || now === undefined || ROUTING.some((part) => old[part] !== now[part]);
  });

const ROUTING = ['gateways', 'routes', 'proxies'] as const satisfies readonly (keyof NicState)[];
