/** Which addresses are behind containers' interfaces, as exact hash sets: what comes from one of them comes in there. */
import { bitsOf, familyOf, networkOf, prefixLength } from './address.ts';
import type { NicState } from './desired.ts';
import { lengthSuffix, maskedField, type OwnedSet } from './owned.ts';
import type { NftSet } from './ruleset.ts';

/** `held4` for hosts, `held4_28` for prefixes of that length: the addresses of `owned4` and `owned4_28`. */
const heldName = ({ family, length }: Pick<OwnedSet, 'family' | 'length'>): string =>
  `held${lengthSuffix(family, length)}`;

/**
 * For what came in by no container's interface: a stranger on an uplink, or on a bridge that isn't ours, can neither take
 * a container's address for himself nor speak into its flows. What the host says to itself is its own affair.
 *
 *     iif != "lo" ip saddr @held4 goto elsewhere
 *     ip saddr & 255.255.255.240 @held4_28 fib saddr . iif oif missing goto elsewhere
 *
 * An address is in one place. A prefix may hold networks that the kernel reaches by a longer one, so it is asked.
 */
export const comesElsewhere = (owned: readonly OwnedSet[]): string[] =>
  owned.map((set) => {
    const found = `${maskedField(set)} @${heldName(set)}`;
    return set.length === bitsOf(set.family)
      ? `iif != "lo" ${found} goto elsewhere`
      : `${found} fib saddr . iif oif missing goto elsewhere`;
  });

/** One for each set of owners, with what these NICs hold. */
export function heldSets(owned: readonly OwnedSet[], nics: readonly NicState[]): [string, NftSet][] {
  const elements = new Map(owned.map((set) => [heldName(set), new Map<string, string>()]));
  for (const prefix of nics.flatMap((nic) => nic.owned)) {
    const name = heldName({ family: familyOf(prefix), length: prefixLength(prefix) });
    elements.get(name)?.set(networkOf(prefix), '');
  }
  return owned.map((set) => {
    const name = heldName(set);
    return [
      name,
      { kind: 'set', spec: `typeof ${set.field};`, dynamic: false, elements: elements.get(name) ?? new Map() },
    ];
  });
}
