/** A model of nft's transactions: takes our commands one by one, and minds what nft and the kernel mind. */
import type { NftChain, NftSet, NftTable, Ruleset, TableFamily } from '../../render/ruleset.ts';

interface ModelSet {
  readonly kind: NftSet['kind'];
  readonly spec: string;
  readonly elements: Map<string, string>;
}
interface ModelTable {
  /** What is renamed when all is done: until then the kernel finds a chain by its old name only. */
  readonly renamed: Map<string, string>;
  readonly sets: Map<string, ModelSet>;
  readonly chains: Map<string, { readonly hook: string; rules: string[] }>;
}
type Model = Map<string, ModelTable>;

/** The ruleset after the commands. @throws Error where nft would refuse one of them, and so all. */
export function applyCommands(before: Ruleset, commands: readonly string[]): Ruleset {
  const model: Model = new Map(
    [...before].map(([family, { sets, chains }]) => [
      family,
      {
        renamed: new Map(),
        sets: new Map(
          [...sets].map(([name, set]) => [name, { kind: set.kind, spec: set.spec, elements: new Map(set.elements) }]),
        ),
        chains: new Map([...chains].map(([name, chain]) => [name, { hook: chain.hook, rules: [...chain.rules] }])),
      },
    ]),
  );
  for (const command of commands) applyOne(model, command);
  for (const table of model.values()) rename(table);
  return freeze(model);
}

function rename({ renamed, sets, chains }: ModelTable): void {
  const newly = (text: string): string =>
    text.replace(/(goto|jump) (\S+)/g, (_, verb, name) => `${verb} ${renamed.get(name) ?? name}`);
  for (const [from, to] of renamed) {
    const chain = chains.get(from);
    chains.delete(from);
    if (chain !== undefined) chains.set(to, chain);
  }
  for (const chain of chains.values()) chain.rules = chain.rules.map(newly);
  for (const { elements } of sets.values()) for (const [key, data] of elements) elements.set(key, newly(data));
}

function refuse(command: string, why: string): never {
  throw new Error(`${why}: ${command}`);
}

const COMMAND =
  /^(add|delete|flush|rename) (table|chain|rule|set|map|limit|element) (inet|arp) routewall(?: (\S+)(?: (.*))?)?$/;

function applyOne(model: Model, command: string): void {
  const [, verb = '', object = '', family = '', name = '', rest = ''] = COMMAND.exec(command) ?? [];
  if (verb === '') refuse(command, 'not understood');
  if (object === 'table') {
    applyTable(model, verb, family);
    return;
  }
  const table = model.get(family) ?? refuse(command, 'no such table');
  switch (`${verb} ${object}`) {
    case 'add chain':
      if (!table.chains.has(name)) table.chains.set(name, { hook: braced(rest), rules: [] });
      return;
    case 'flush chain':
      (table.chains.get(name) ?? refuse(command, 'no such chain')).rules = [];
      return;
    case 'rename chain':
      if (!table.chains.has(name) || table.renamed.has(name)) refuse(command, 'no such chain');
      if (table.chains.has(rest) || [...table.renamed.values()].includes(rest)) refuse(command, 'exists');
      table.renamed.set(name, rest);
      return;
    case 'delete chain':
      if (table.chains.get(name)?.rules.length !== 0) refuse(command, 'no such chain, or one with rules');
      if (isReferred(table, name)) refuse(command, 'in use');
      table.chains.delete(name);
      return;
    case 'add rule':
      mindReferences(table, rest, command);
      (table.chains.get(name) ?? refuse(command, 'no such chain')).rules.push(rest);
      return;
    case 'add set':
    case 'add map':
    case 'add limit':
      if (table.sets.has(name)) refuse(command, 'exists');
      table.sets.set(name, {
        kind: object === 'set' || object === 'map' ? object : 'limit',
        spec: braced(rest),
        elements: new Map(),
      });
      return;
    case 'delete set':
    case 'delete map':
    case 'delete limit':
      if (table.sets.get(name)?.kind !== object) refuse(command, 'no such set');
      if (isReferred(table, `@${name}`)) refuse(command, 'in use');
      table.sets.delete(name);
      return;
    case 'add element':
      addElements(table, table.sets.get(name) ?? refuse(command, 'no such set'), rest, command);
      return;
    case 'delete element':
      for (const [key] of elementsOf(rest))
        if (table.sets.get(name)?.elements.delete(key) !== true) refuse(command, `no such element ${key}`);
      return;
  }
  refuse(command, 'unexpected');
}

function applyTable(model: Model, verb: string, family: string): void {
  if (verb === 'delete' && !model.delete(family)) refuse(`delete table ${family}`, 'no such table');
  if (verb === 'add' && !model.has(family))
    model.set(family, { renamed: new Map(), sets: new Map(), chains: new Map() });
}

function addElements(table: ModelTable, set: ModelSet, rest: string, command: string): void {
  for (const [key, data] of elementsOf(rest)) {
    mindReferences(table, data, command);
    if (set.kind === 'map' && set.elements.has(key)) refuse(command, `exists: ${key}`);
    set.elements.set(key, data);
  }
}

const braced = (text: string): string => /^\{ (.*) \}$/.exec(text)?.[1] ?? '';

const elementsOf = (text: string): [string, string][] =>
  (braced(text).match(/(?:"[^"]*"|[^",])+/g) ?? []).map((one) => {
    const [key = '', data = ''] = one.trim().split(' : ');
    return [key, data];
  });

function referencesOf(text: string): string[] {
  const bare = text.replaceAll(/limit name "(\w+)"/g, '@$1').replaceAll(/"[^"]*"/g, '""');
  return [...bare.matchAll(/(?:goto|jump) (\S+)|(@\S+)/g)].map(([, chain, set]) => chain ?? set ?? '');
}

function mindReferences(table: ModelTable, text: string, command: string): void {
  for (const name of referencesOf(text)) {
    const exists = name.startsWith('@') ? table.sets.has(name.slice(1)) : table.chains.has(name);
    if (!exists) refuse(command, `no such ${name}`);
  }
}

function isReferred(table: ModelTable, name: string): boolean {
  const rules = [...table.chains.values()].flatMap((chain) => chain.rules);
  const data = [...table.sets.values()].flatMap((set) => [...set.elements.values()]);
  return [...rules, ...data].some((text) => referencesOf(text).includes(name));
}

function freeze(model: Model): Ruleset {
  const ruleset = new Map<TableFamily, NftTable>();
  for (const [family, { sets, chains }] of model) {
    if (family !== 'inet' && family !== 'arp') continue;
    const frozen = [...sets].map(([name, set]): [string, NftSet] => [
      name,
      { ...set, dynamic: set.spec.includes('dynamic') },
    ]);
    ruleset.set(family, { sets: new Map(frozen), chains: new Map<string, NftChain>(chains) });
  }
  return ruleset;
}
