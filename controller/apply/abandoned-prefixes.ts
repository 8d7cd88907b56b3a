/** Addresses whose containers went while no daemon watched, as far as the kernel's rules still tell of them. */
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';

/** What an interface may send from by the kernel (`VETH PREFIX` each), and not by the state. */
export function abandonedPrefixes(owned: ReadonlySet<string>, enforced: DesiredState): Prefix[] {
  const held = new Set(
    [...enforced.nics.values()].flatMap((nic) => nic.owned.map((prefix) => `${nic.hostVeth} ${prefix}`)),
  );
  const abandoned = [...owned].flatMap((entry) => {
    const prefix = parsePrefix(entry.slice(entry.indexOf(' ') + 1));
    return prefix === undefined || held.has(entry) ? [] : [prefix];
  });
  return [...new Set(abandoned)];
}
