/** Whose addresses are whose since no daemon watched, as far as the kernel's rules still tell how it was. */
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Applied } from './applied.ts';
import type { Held } from './backend.ts';

export function unwatchedChanges(
  held: Pick<Held, 'owned' | 'shuts'>,
  enforced: DesiredState,
): Pick<Applied, 'abandoned' | 'come'> {
  return { abandoned: abandonedPrefixes(held.owned, enforced), come: comePrefixes(held, enforced) };
}

/** What an interface may send from by the kernel (`VETH PREFIX` each), and not by the state. */
function abandonedPrefixes(owned: ReadonlySet<string>, { nics }: DesiredState): Prefix[] {
  const held = new Set([...nics.values()].flatMap((nic) => nic.owned.map((prefix) => entryOf(nic, prefix))));
  const abandoned = [...owned].flatMap((entry) => {
    const prefix = parsePrefix(entry.slice(entry.indexOf(' ') + 1));
    return prefix === undefined || held.has(entry) ? [] : [prefix];
  });
  return [...new Set(abandoned)];
}

/**
 * By NIC key, what an interface may send from by the state, and not by rules that were there: as long as they were, it sent
 * nothing, and what is tracked in its name is others'. Where there were no rules, it may be its own.
 */
function comePrefixes({ owned, shuts }: Pick<Held, 'owned' | 'shuts'>, { nics }: DesiredState): Map<string, Prefix[]> {
  const come = new Map<string, Prefix[]>();
  for (const [key, nic] of nics) {
    if (!shuts(nic)) continue;
    const fresh = nic.owned.filter((prefix) => !owned.has(entryOf(nic, prefix)));
    if (fresh.length > 0) come.set(key, fresh);
  }
  return come;
}

const entryOf = ({ hostVeth }: NicState, prefix: Prefix): string => `${hostVeth} ${prefix}`;
