/** The named sets that hold what a name stands for: one for each family, shared by all chains that mean the name. */
import { createHash } from 'node:crypto';
import { type Family, familyOf } from './address.ts';
import { type DnsAddresses, type DnsName, parseDnsName } from './dns-name.ts';
import { commentText, type SetName, setName } from './names.ts';
import type { NftSet } from './ruleset.ts';

/** By the name, not by its addresses: another answer changes the set's elements, and no chain's text or hash. */
export const dnsSetName = (name: DnsName, family: Family): SetName =>
  setName(`dns${family}`, createHash('sha256').update(name).digest('hex').slice(0, 16));

/** Hash sets: an interval set would be listed by nft at each change of any set. One without elements matches nothing. */
export function dnsSets(names: Iterable<DnsName>, addresses: DnsAddresses): [string, NftSet][] {
  return [...new Set(names)].sort().flatMap((name) =>
    ([4, 6] as const).map((family): [string, NftSet] => {
      const list = (addresses.get(name) ?? []).filter((address) => familyOf(address) === family);
      const spec = `type ipv${family}_addr; comment "${commentText(`dns:${name}`)}";`;
      return [
        dnsSetName(name, family),
        { kind: 'set', spec, dynamic: false, elements: new Map(list.map((address) => [address, ''])) },
      ];
    }),
  );
}

/** The name that a set of ours is for, by its comment; `undefined` where that is too long to hold it. */
export function dnsNameOfSet(setName: string, { spec }: NftSet): DnsName | undefined {
  const name = parseDnsName(/\bcomment "dns:([^"]*)"/.exec(spec)?.[1] ?? '');
  return name !== undefined && ([4, 6] as const).some((family) => dnsSetName(name, family) === setName)
    ? name
    : undefined;
}

/** Names that stand for something else than before. */
export function changedNames(before: DnsAddresses, after: DnsAddresses): DnsName[] {
  if (before === after) return [];
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => (before.get(name) ?? []).join() !== (after.get(name) ?? []).join());
}
