/**
 * Chains that all NICs leave for one and the same new chain, as when a profile is edited: emptied, filled anew and renamed, they
 * spare the elements that lead to them, of which there is one for each container.
 */
import type { NicState } from './desired.ts';
import type { PolicyChain } from './rule.ts';
import type { NftSet, NftTable } from './ruleset.ts';

/** Which chain is left for which, and back; a chain that is left for two others, or taken in the place of two, has no pair. */
class Pairs {
  readonly #there = new Map<string, string | undefined>();
  readonly #back = new Map<string, string | undefined>();

  note(from: string | undefined, to: string | undefined): void {
    note(this.#there, from, to);
    note(this.#back, to, from);
  }

  /**
   * Whether all that leave `from` go to `to`, and all that come to `to` come from there. Unless the two are one, none may come to
   * `from` or leave `to` either.
   */
  has(from: string, to: string | undefined): boolean {
    if (to === undefined || this.#there.get(from) !== to || this.#back.get(to) !== from) return false;
    return from === to || (!this.#back.has(from) && !this.#there.has(to));
  }

  list(): (readonly [from: string, to: string])[] {
    return [...this.#there].flatMap(([from, to]) =>
      to !== undefined && this.has(from, to) ? [[from, to] as const] : [],
    );
  }
}

function note(map: Map<string, string | undefined>, from: string | undefined, to: string | undefined): void {
  if (from !== undefined) map.set(from, map.has(from) && map.get(from) !== to ? undefined : to);
}

/** By its new name, the old one of each chain that need only be renamed. Nothing of what is told else may refer to either. */
export function renamedChains(before: NftTable, after: NftTable): ReadonlyMap<string, string> {
  const gone = freeNames(before, after);
  const come = freeNames(after, before);
  if (gone.size === 0 || come.size === 0) return NONE;
  const pairs = new Pairs();
  for (const name of new Set([...before.sets.keys(), ...after.sets.keys()])) {
    const [old, fresh] = [dataOf(before.sets.get(name)), dataOf(after.sets.get(name))];
    for (const [key, data] of old) noteTargets(pairs, data, fresh.get(key));
    for (const [key, data] of fresh) if (!old.has(key)) noteTargets(pairs, undefined, data);
  }
  const rules = [before, after].flatMap(({ chains }) => [...chains.values()].flatMap((chain) => chain.rules));
  const isTold = (name: string): boolean => rules.some((rule) => rule.includes(name));
  return new Map(
    pairs
      .list()
      .flatMap(([from, to]) =>
        gone.has(from) && come.has(to) && !isTold(from) && !isTold(to) ? [[to, from] as const] : [],
      ),
  );
}

/** The same table under the names that these chains have until all is done. */
export function underOldNames(table: NftTable, renamed: ReadonlyMap<string, string>): NftTable {
  if (renamed.size === 0) return table;
  const dataBefore = (data: string): string =>
    data.replace(TARGET, (_, verb, name) => `${verb} ${renamed.get(name) ?? name}`);
  const setBefore = (set: NftSet): NftSet =>
    set.kind === 'map'
      ? { ...set, elements: new Map([...set.elements].map(([key, data]) => [key, dataBefore(data)])) }
      : set;
  return {
    ...table,
    sets: new Map([...table.sets].map(([name, set]) => [name, setBefore(set)])),
    chains: new Map([...table.chains].map(([name, chain]) => [renamed.get(name) ?? name, chain])),
  };
}

/** A NIC before and after a change; `undefined` where it wasn't, or isn't any more. */
export type NicChange = readonly [before: NicState | undefined, after: NicState | undefined];

/**
 * NICs for which nothing has to be written, since the chains that they use are renamed for another one: they have other chains
 * and nothing else, and all that share their old ones share the new ones. `kept`: one NIC for each chain that stays in use.
 */
export function sparedByRenaming(
  changes: readonly NicChange[],
  kept: readonly NicState[],
  nameOf: (chain: PolicyChain) => string,
): ReadonlySet<NicState> {
  const pairs = new Pairs();
  const namesOf = (nic: NicState): readonly string[] => [nameOf(nic.egress), nameOf(nic.ingress)];
  const moves: Move[] = [];
  for (const [old, fresh] of changes) {
    const from = old === undefined ? [] : namesOf(old);
    const to = fresh === undefined ? [] : namesOf(fresh);
    if (old !== undefined && fresh !== undefined && differInChainsOnly(old, fresh)) {
      moves.push({ old, fresh, from, to });
      for (const [index, name] of from.entries()) pairs.note(name, to[index]);
    } else {
      // Under another interface's name or address, one element goes and another comes.
      for (const name of from) pairs.note(name, undefined);
      for (const name of to) pairs.note(undefined, name);
    }
  }
  for (const nic of kept) for (const name of namesOf(nic)) pairs.note(name, name);
  const standing = new Set<string>();
  const spared = new Set<NicState>();
  for (const { old, fresh, from, to } of moves) {
    if (!from.every((name, index) => pairs.has(name, to[index]))) continue;
    const way = from.join();
    if (standing.has(way)) spared.add(old).add(fresh);
    else standing.add(way);
  }
  return spared;
}

interface Move {
  readonly old: NicState;
  readonly fresh: NicState;
  /** Names of chains, in the same order as in `to`. */
  readonly from: readonly string[];
  readonly to: readonly string[];
}

function differInChainsOnly(old: NicState, fresh: NicState): boolean {
  const keys = Object.keys(fresh);
  const isSame = (key: string): boolean => Reflect.get(old, key) === Reflect.get(fresh, key);
  return (
    keys.length === Object.keys(old).length && keys.every((key) => key === 'egress' || key === 'ingress' || isSame(key))
  );
}

const NONE: ReadonlyMap<string, string> = new Map();
const NO_DATA: NftSet['elements'] = new Map();
const TARGET = /^(goto|jump) (\S+)$/;

const freeNames = (table: NftTable, other: NftTable): ReadonlySet<string> =>
  new Set([...table.chains].flatMap(([name, { hook }]) => (hook === '' && !other.chains.has(name) ? name : [])));

const dataOf = (set: NftSet | undefined): NftSet['elements'] => (set?.kind === 'map' ? set.elements : NO_DATA);

function noteTargets(pairs: Pairs, old: string | undefined, fresh: string | undefined): void {
  const [from, to] = [old, fresh].map((data) => TARGET.exec(data ?? ''));
  const isSameVerb = from?.[1] === to?.[1];
  pairs.note(from?.[2], isSameVerb ? to?.[2] : undefined);
  if (!isSameVerb) pairs.note(undefined, to?.[2]);
}
