/** Addresses whose containers went while no daemon watched, as far as our own tables still tell of them. */
import { type Prefix, parsePrefix } from '../render/address.ts';
import type { DesiredState } from '../render/desired.ts';
import type { Ruleset } from '../render/ruleset.ts';

/** What a listing lets an interface send from, and the state doesn't. */
export function abandonedPrefixes(listing: Ruleset, enforced: DesiredState): Prefix[] {
  const held = new Set([...enforced.nics.values()].flatMap(({ hostVeth, owned }) => owned.map(keyOf(hostVeth))));
  const abandoned = [...(listing.get('inet')?.sets ?? [])].flatMap(([name, { elements }]) => {
    const [, length] = /^owned(?:4|6)(?:_(\d+))?$/.exec(name) ?? [undefined, null];
    if (length === null) return [];
    return [...elements.keys()].flatMap((element) => {
      const [, dev = '', address = ''] = /^"(.+)" \. (\S+)$/.exec(element) ?? [];
      const prefix = parsePrefix(length === undefined ? address : `${address}/${length}`);
      return prefix === undefined || held.has(keyOf(dev)(prefix)) ? [] : [prefix];
    });
  });
  return [...new Set(abandoned)];
}

const keyOf = (dev: string) => (prefix: Prefix) => `${dev} ${prefix}`;
