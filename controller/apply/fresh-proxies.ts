/** New neighbour proxies are looked at once more, when whoever watches them has listed them. */
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState } from '../../render/desired.ts';

export interface FreshProxies {
  /** What a pass has enforced; `before`: `undefined` after a start or a failure. */
  note(before: DesiredState | undefined, enforced: DesiredState): void;
  stop(): void;
}

/** The kernel tells of no proxy: twice a second all are listed, and one that went in between was never seen. */
const LISTED_MS = 1_000;

/** `onListed` gets their addresses; once for all that came within a second, since it costs a reading of all proxies. */
export function createFreshProxies(onListed: (addresses: ReadonlySet<string>) => void): FreshProxies {
  let fresh = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const addresses = fresh;
    fresh = new Set();
    timer = undefined;
    onListed(addresses);
  };
  return {
    note: (before, enforced) => {
      const keys = before === undefined ? enforced.nics.keys() : changedNicKeys(before, enforced);
      for (const key of keys) for (const { address } of enforced.nics.get(key)?.proxies ?? []) fresh.add(address);
      if (fresh.size > 0) timer ??= setTimeout(look, LISTED_MS);
    },
    stop: () => clearTimeout(timer),
  };
}
