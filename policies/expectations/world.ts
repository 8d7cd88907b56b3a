/** All containers of a host as the ends of flows, running or not: what is expected must not depend on what runs. */
import type { AddressRange, Family } from '../../render/address.ts';
import type { Direction, PolicyChain } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { chainHash } from '../chain-hash.ts';
import { intersectRanges, subtractRanges, uniteAddresses } from '../flows/address-ranges.ts';
import type { ExpectationFacts } from './expectation-facts.ts';
import { type JudgedTable, judgedTable } from './find-exception.ts';

/** One NIC of a container. */
export interface Party {
  /** The container's name. Two of one name in different LXC folders count as one end here. */
  readonly container: string;
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
  /** What it may send from. */
  readonly owned: FamilyRanges;
}

/** One end of flows: NICs with equal rules, or with `chain: null` all those who have no rules here. */
export interface End {
  readonly chain: PolicyChain | null;
  readonly ranges: readonly AddressRange[];
}

export interface World {
  readonly facts: ExpectationFacts;
  /** All ends with addresses in the ranges, by the chain that counts for them. */
  endsIn(ranges: readonly AddressRange[], family: Family, direction: Direction): End[];
  /** `wide`: names are taken for all that they may come to mean. */
  tableOf(chain: PolicyChain, wide: boolean): JudgedTable;
  /** The container that has the address. */
  ownerOf(address: bigint, family: Family): Party | undefined;
  ownedOf(container: string): FamilyRanges;
}

interface Group {
  readonly chain: PolicyChain;
  readonly ranges: FamilyRanges;
}

export function createWorld(parties: readonly Party[], facts: ExpectationFacts): World {
  const groups = { egress: groupBy(parties, 'egress'), ingress: groupBy(parties, 'ingress') };
  const all = uniteAddresses(...parties.map(({ owned }) => owned));
  const tables = { wide: new Map<PolicyChain, JudgedTable>(), plain: new Map<PolicyChain, JudgedTable>() };
  return {
    facts,
    endsIn: (ranges, family, direction) => {
      const nics = groups[direction].map(
        ({ chain, ranges: of }): End => ({
          chain,
          ranges: intersectRanges(ranges, of[family]),
        }),
      );
      return [...nics, { chain: null, ranges: subtractRanges(ranges, all[family]) }].filter(
        (end) => end.ranges.length > 0,
      );
    },
    tableOf: (chain, wide) => {
      const known = tables[wide ? 'wide' : 'plain'];
      const table = known.get(chain) ?? judgedTable(chain, facts, wide);
      known.set(chain, table);
      return table;
    },
    ownerOf: (address, family) =>
      parties.find(({ owned }) => owned[family].some(({ first, last }) => first <= address && address <= last)),
    ownedOf: (name) =>
      uniteAddresses(...parties.flatMap(({ container, owned }) => (container === name ? [owned] : []))),
  };
}

function groupBy(parties: readonly Party[], direction: Direction): Group[] {
  const chains = new Map<string, { readonly chain: PolicyChain; readonly owned: FamilyRanges[] }>();
  for (const party of parties) {
    const chain = party[direction];
    const group = chains.get(chainHash(chain)) ?? { chain, owned: [] };
    group.owned.push(party.owned);
    chains.set(chainHash(chain), group);
  }
  return [...chains.values()].map(({ chain, owned }) => ({ chain, ranges: uniteAddresses(...owned) }));
}
