/** Rulesets of parts of one state, put together. */
import type { NftChain, NftSet, Ruleset, TableFamily } from './ruleset.ts';

interface GrowingTable {
  readonly sets: Map<string, NftSet & { readonly elements: Map<string, string> }>;
  readonly chains: Map<string, NftChain>;
}

export type GrowingRuleset = Map<TableFamily, GrowingTable>;

/** Copying it for each part would cost as much as the parts. */
export function grow(whole: GrowingRuleset, part: Ruleset): void {
  for (const [family, { sets, chains }] of part) {
    const table = whole.get(family) ?? { sets: new Map(), chains: new Map() };
    whole.set(family, table);
    for (const [name, set] of sets) {
      const { elements } = table.sets.get(name) ?? { elements: new Map<string, string>() };
      for (const [key, data] of set.elements) elements.set(key, data);
      table.sets.set(name, { ...set, elements });
    }
    for (const [name, chain] of chains) table.chains.set(name, chain);
  }
}
