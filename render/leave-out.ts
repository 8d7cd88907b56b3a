/** A listing without what belongs to NICs that come and go while it is compared. */
import type { Pieces } from './pieces.ts';
import type { NftSet, NftTable, Ruleset, TableFamily } from './ruleset.ts';

/** `theirs`: those NICs' ruleset. `kept`: what the others have, which is theirs alone of nothing. */
export function* leaveOut(observed: Ruleset, theirs: Ruleset, kept: Ruleset): Pieces<Ruleset> {
  const left = new Map<TableFamily, NftTable>();
  for (const [family, table] of observed) {
    const [their, other] = [theirs.get(family), kept.get(family)];
    const isTheirs = (part: 'sets' | 'chains', name: string): boolean =>
      their?.[part].has(name) === true && other?.[part].has(name) !== true;
    const sets = new Map<string, NftSet>();
    for (const [name, set] of table.sets) {
      if (!isTheirs('sets', name)) sets.set(name, withoutElements(set, their?.sets.get(name), other?.sets.get(name)));
      yield;
    }
    const chains = new Map([...table.chains].filter(([name]) => !isTheirs('chains', name)));
    left.set(family, { ...table, sets, chains });
  }
  return left;
}

function withoutElements(set: NftSet, theirs: NftSet | undefined, kept: NftSet | undefined): NftSet {
  const keys = [...(theirs?.elements.keys() ?? [])].filter((key) => kept?.elements.has(key) !== true);
  if (!keys.some((key) => set.elements.has(key))) return set;
  const elements = new Map(set.elements);
  for (const key of keys) elements.delete(key);
  return { ...set, elements };
}
