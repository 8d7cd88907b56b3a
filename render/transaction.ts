/** The shortest in-place change from one ruleset to another, as nft commands that must be committed together. */
import { renamedChains, underOldNames } from './renamed-chains.ts';
import {
  element,
  type NftChain,
  type NftSet,
  type NftTable,
  ORPHAN_TABLE,
  type Ruleset,
  TABLE,
  type TableFamily,
  type TableFlag,
} from './ruleset.ts';

const NO_TABLE: NftTable = { sets: new Map(), chains: new Map() };

/**
 * Commands in an order that nft accepts within one transaction; empty when nothing differs. Tables are never deleted
 * while they serve, since that loses packets and counters, with one exception: a set or base chain that is declared
 * differently (another release's layout) can't be changed in place, nor can a table be made one that outlives its
 * owner, so that table is replaced whole.
 */
export function diffRulesets(before: Ruleset, after: Ruleset): string[] {
  const families = new Set<TableFamily>([...before.keys(), ...after.keys()]);
  return [...families].flatMap((family) => diffTable(family, before.get(family), after.get(family)));
}

function diffTable(family: TableFamily, before: NftTable | undefined, after: NftTable | undefined): string[] {
  const table = `${family} ${TABLE}`;
  if (after === undefined) return before === undefined ? [] : [`delete table ${table}`];
  const add = (flags: readonly TableFlag[] = []): string =>
    flags.length === 0 ? `add table ${table}` : `add table ${table} { flags ${flags.join(', ')}; }`;
  if (before === undefined) return [add(after.flags), ...changeTable(table, NO_TABLE, after)];
  if (redeclares(before, after) || lacksPersist(before, after)) {
    return [`delete table ${table}`, add(after.flags), ...changeTable(table, NO_TABLE, after)];
  }
  // Adding a table that exists sets or clears its `dormant` and `owner`.
  const isSame = has(before, 'dormant') === has(after, 'dormant') && (has(before, 'owner') || !has(after, 'owner'));
  const flags = has(before, 'persist') && !has(after, 'persist') ? ORPHAN_TABLE : after.flags;
  return [...(isSame ? [] : [add(flags)]), ...changeTable(table, before, after)];
}

const has = ({ flags = [] }: NftTable, flag: TableFlag): boolean => flags.includes(flag);

/** The kernel gives it to no table that exists. */
const lacksPersist = (before: NftTable, after: NftTable): boolean => has(after, 'persist') && !has(before, 'persist');

function redeclares(before: NftTable, after: NftTable): boolean {
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name);
    if (old !== undefined && (old.spec !== set.spec || old.kind !== set.kind)) return true;
  }
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old !== undefined && old.hook !== chain.hook) return true;
  }
  return false;
}

function changeTable(table: string, before: NftTable, after: NftTable): string[] {
  const renamed = renamedChains(before, after);
  return [
    ...changeByName(table, before, underOldNames(after, renamed)),
    // Last: within a transaction the kernel knows a chain by its old name.
    ...[...renamed].map(([to, from]) => `rename chain ${table} ${from} ${to}`),
  ];
}

function changeByName(table: string, before: NftTable, after: NftTable): string[] {
  const commands: string[] = [];
  // Chains and sets first, still empty: rules and elements may then refer to any of them.
  for (const [name, chain] of after.chains) if (!before.chains.has(name)) commands.push(addChain(table, name, chain));
  for (const [name, set] of after.sets)
    if (!before.sets.has(name)) commands.push(`add ${set.kind} ${table} ${name} { ${set.spec} }`);
  for (const [name, set] of after.sets) commands.push(...changeElements(table, name, before.sets.get(name), set));
  for (const [name, chain] of after.chains) commands.push(...changeRules(table, name, before.chains.get(name), chain));
  commands.push(...removeStale(table, before, after));
  return commands;
}

function addChain(table: string, name: string, chain: NftChain): string {
  return `add chain ${table} ${name}${chain.hook === '' ? '' : ` { ${chain.hook} }`}`;
}

function changeRules(table: string, name: string, before: NftChain | undefined, after: NftChain): string[] {
  if (before !== undefined && sameLines(before.rules, after.rules)) return [];
  // Also one that was listed without rules: were it wrong, each would be there a second time.
  const flush = before === undefined ? [] : [`flush chain ${table} ${name}`];
  return [...flush, ...after.rules.map((rule) => `add rule ${table} ${name} ${rule}`)];
}

const sameLines = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((line, index) => line === b[index]);

/** A map's element can't be replaced: a changed one is deleted and added within the transaction. */
function changeElements(table: string, name: string, before: NftSet | undefined, after: NftSet): string[] {
  if (after.dynamic || before === after) return [];
  const old = before?.elements ?? new Map<string, string>();
  const gone: string[] = [];
  for (const [key, data] of old) if (after.elements.get(key) !== data) gone.push(key);
  const added: string[] = [];
  after.elements.forEach((data, key) => {
    if (old.get(key) !== data) added.push(element(key, data));
  });
  return [
    ...chunked(gone).map((keys) => `delete element ${table} ${name} { ${keys.join(', ')} }`),
    ...chunked(added).map((list) => `add element ${table} ${name} { ${list.join(', ')} }`),
  ];
}

/** One command per so many elements keeps an error's line close to its element and a netlink message below its limit. */
function chunked(list: readonly string[], size = 500): string[][] {
  const chunks: string[][] = [];
  for (let start = 0; start < list.length; start += size) chunks.push(list.slice(start, start + size));
  return chunks;
}

/**
 * Chains are emptied first, since their rules refer to sets; then sets go, since a map's elements refer to chains.
 * What is still referred to can't be deleted.
 */
function removeStale(table: string, before: NftTable, after: NftTable): string[] {
  const chains = [...before.chains.keys()].filter((name) => !after.chains.has(name));
  const sets = [...before.sets].filter(([name]) => !after.sets.has(name));
  return [
    ...chains.map((name) => `flush chain ${table} ${name}`),
    ...sets.map(([name, set]) => `delete ${set.kind} ${table} ${name}`),
    ...chains.map((name) => `delete chain ${table} ${name}`),
  ];
}
