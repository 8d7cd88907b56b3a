/** Which addresses go from one NIC to another. */
import { isDeepStrictEqual } from 'node:util';
import { type Prefix, rangeOf, rangesOverlap } from '../../render/address.ts';
import { changedNicKeys, changedNics } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { FormerAddress } from '../connections/conntrack.ts';

export interface HandedOver {
  /** Keys of the NICs that get them. */
  readonly takers: ReadonlySet<string>;
  /** What another NIC had of them. */
  readonly released: ReadonlySet<Prefix>;
}

/** `waiting`: of NICs that went before, with connections that are not forgotten yet. */
export function handedOver(
  before: DesiredState | undefined,
  desired: DesiredState,
  waiting: readonly FormerAddress[],
): HandedOver {
  const takers = new Set<string>();
  const released = new Set<Prefix>();
  const lost = [...lostPrefixes(before, desired), ...waiting];
  // Nothing is lost by most changes, and then a start costs nothing here.
  if (lost.length === 0) return { takers, released };
  for (const key of before === undefined ? desired.nics.keys() : changedNicKeys(before, desired)) {
    const old = before?.nics.get(key);
    const owned = desired.nics.get(key)?.owned ?? [];
    const fresh = owned.filter((prefix) => old?.owned.includes(prefix) !== true).map(rangeOf);
    for (const { key: from, prefix } of lost) {
      if (from === key || !fresh.some((range) => rangesOverlap(range, rangeOf(prefix)))) continue;
      takers.add(key);
      released.add(prefix);
    }
  }
  return { takers, released };
}

/** While nobody has what is handed over: each taker with no more than it had already, and who had nothing is not there. */
export function withoutTaken(
  before: DesiredState | undefined,
  desired: DesiredState,
  takers: ReadonlySet<string>,
): DesiredState {
  const nics = [...desired.nics].flatMap(([key, nic]): [string, NicState][] => {
    if (!takers.has(key)) return [[key, nic]];
    const old = before?.nics.get(key);
    return old?.hostVeth === nic.hostVeth ? [[key, keepOld(old, nic)]] : [];
  });
  return { ...desired, nics: new Map(nics) };
}

const keepOld = (old: NicState, nic: NicState): NicState => ({
  ...nic,
  owned: nic.owned.filter((prefix) => old.owned.includes(prefix)),
  routes: nic.routes.filter((route) => old.routes.some((one) => isDeepStrictEqual(one, route))),
  proxies: nic.proxies.filter((proxy) => old.proxies.some((one) => isDeepStrictEqual(one, proxy))),
});

/** What a NIC had and has no more. */
export function lostPrefixes(before: DesiredState | undefined, after: DesiredState): FormerAddress[] {
  if (before === undefined) return [];
  return changedNics(before, after).flatMap(({ key, old, now }) => {
    if (old === undefined || old.owned === now?.owned) return [];
    return old.owned.filter((prefix) => now?.owned.includes(prefix) !== true).map((prefix) => ({ key, prefix }));
  });
}
