/** nft's own listing of our tables (`nft -s list table …`) as a ruleset that can be compared with another listing. */

import { PANIC_TABLE } from './panic.ts';
import { atOnce, type Pieces } from './pieces.ts';
import type { NftChain, NftSet, NftTable, Ruleset, TableFamily, TableFlag } from './ruleset.ts';
import { diffRulesets } from './transaction.ts';

/**
 * Reads the output of nft 1.0.6 and newer for `list table inet routewall` and `list table arp routewall`, one after
 * the other. What nft prints isn't what was loaded (`198.51.100.10/32` loses its length, types get names), so a
 * listing is only ever compared with a listing.
 */
export const parseListing = (text: string): Ruleset => atOnce(parseListingInPieces(text));

export function* parseListingInPieces(text: string): Pieces<Ruleset> {
  const tables = new Map<TableFamily, NftTable>();
  const lines = text.split('\n');
  yield;
  for (const block of blocks(lines)) {
    const [, family] = /^table (inet|arp|bridge) routewall$/.exec(block.head) ?? [];
    if (family === 'inet' || family === 'arp' || family === 'bridge')
      tables.set(family, joinTables(tables.get(family), yield* parseTable(block.body)));
  }
  return tables;
}

/** Of `list table` of a table that seals; `undefined` where the text holds no such table. */
export function parsePanicListing(text: string, family: TableFamily = 'inet'): NftTable | undefined {
  const block = blocks(text.split('\n')).find(({ head }) => head === `table ${family} ${PANIC_TABLE}`);
  return block === undefined ? undefined : atOnce(parseTable(block.body));
}

interface Block {
  readonly head: string;
  readonly body: readonly string[];
}

/** The blocks at the outermost depth: `head {` … `}`, told apart by their indentation as nft prints it. */
function blocks(lines: readonly string[]): Block[] {
  const found: Block[] = [];
  let open: { head: string; indent: string; body: string[] } | undefined;
  for (const line of lines) {
    if (open === undefined) {
      const [, indent = '', head = ''] = /^(\t*)(\S.*) \{(?: # .*)?$/.exec(line) ?? [];
      if (head !== '') open = { head, indent, body: [] };
    } else if (line === `${open.indent}}`) {
      found.push(open);
      open = undefined;
    } else open.body.push(line);
  }
  return found;
}

function* parseTable(lines: readonly string[]): Pieces<NftTable> {
  const sets = new Map<string, NftSet>();
  const chains = new Map<string, NftChain>();
  for (const { head, body } of blocks(lines)) {
    yield;
    const [kind = '', name = ''] = head.split(' ');
    if (kind === 'chain') chains.set(name, joinChains(chains.get(name), parseChain(body)));
    else if (kind === 'set' || kind === 'map' || kind === 'limit') sets.set(name, yield* parseSet(kind, body));
  }
  const flags = parseFlags(lines);
  return flags.length === 0 ? { sets, chains } : { flags, sets, chains };
}

const FLAGS: readonly TableFlag[] = ['dormant', 'owner', 'persist'];

/** `\tflags owner,persist`; nft 1.0.6 knows no `persist`, and prints nothing for it. */
function parseFlags(lines: readonly string[]): TableFlag[] {
  const [, words = ''] = lines.map((line) => /^\tflags (.*)$/.exec(line)).find((found) => found !== null) ?? [];
  return FLAGS.filter((flag) => words.split(/[\s,]+/).includes(flag));
}

/**
 * While somebody's deletion is carried out the kernel, asked for all chains, may tell one twice: what goes is skipped the first
 * time and counted when it goes on. nft then lists it twice, once with its rules. So with tables.
 */
function joinChains(a: NftChain | undefined, b: NftChain): NftChain {
  return a === undefined ? b : { ...b, rules: [...a.rules, ...b.rules] };
}

function joinTables(a: NftTable | undefined, b: NftTable): NftTable {
  if (a === undefined) return b;
  const [chains, sets] = [new Map(a.chains), new Map(a.sets)];
  for (const [name, chain] of b.chains) chains.set(name, joinChains(chains.get(name), chain));
  for (const [name, set] of b.sets)
    sets.set(name, { ...set, elements: new Map([...(sets.get(name)?.elements ?? []), ...set.elements]) });
  return { ...b, sets, chains };
}

function parseChain(body: readonly string[]): NftChain {
  const lines = body.map((line) => line.trim()).filter((line) => line !== '');
  const hook = lines[0]?.startsWith('type ') === true ? lines[0] : '';
  return { hook, rules: hook === '' ? lines : lines.slice(1) };
}

/** So many lines of elements take a millisecond or two. */
const LINES = 1000;

function* parseSet(kind: NftSet['kind'], body: readonly string[]): Pieces<NftSet> {
  const lines = body.map((line) => line.trim());
  const start = lines.findIndex((line) => line.startsWith('elements = {'));
  const spec = (start < 0 ? lines : lines.slice(0, start)).map((line) => `${line};`).join(' ');
  const dynamic = spec.includes('dynamic');
  const elements = new Map<string, string>();
  const end = start < 0 || dynamic ? start : lines.findLastIndex((line) => line.endsWith('}')) + 1;
  for (let from = start; from < end; from += LINES) {
    const text = lines.slice(from, Math.min(from + LINES, end)).join('\n');
    const list = text.slice(from === start ? text.indexOf('{') + 1 : 0, from + LINES < end ? undefined : -1);
    for (const element of splitElements(list)) {
      const [key, data] = parseElement(element.trim());
      if (key !== '') elements.set(key, data);
    }
    yield;
  }
  return { kind, spec, dynamic, elements };
}

/** At commas, but not at those in an interface's name. */
const splitElements = (text: string): string[] => text.match(/(?:"[^"]*"|[^",])+/g) ?? [];

/** `"veth0" . 198.51.100.10 counter packets 3 bytes 252` or `"veth0" : goto egress_…` */
function parseElement(text: string): [string, string] {
  // As in lists of a hundred thousand addresses.
  if (!text.includes(' ')) return [text, ''];
  const [key = '', data = ''] = text.replace(/ counter( packets \d+ bytes \d+)?/, '').split(' : ');
  return [key.replace(/\s+/g, ' ').trim(), data.trim()];
}

/** A listing with its elements sorted and one a line, so that two of them can be compared line by line. */
export function sortListing(ruleset: Ruleset): Ruleset {
  return new Map(
    [...ruleset].map(([family, { sets, chains, flags = [] }]) => [
      family,
      {
        // Who holds the table is no part of what it says.
        flags: flags.filter((flag) => flag === 'dormant'),
        sets: new Map(byName(sets).map(([name, set]) => [name, sortSet(set)])),
        chains: new Map(byName(chains)),
      },
    ]),
  );
}

const byName = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

function sortSet(set: NftSet): NftSet {
  const elements = new Map<string, string>();
  for (const key of [...set.elements.keys()].sort()) elements.set(key, set.elements.get(key) ?? '');
  return { ...set, elements };
}

/** Whether two listings have the same text once they are sorted, for a fraction of what it takes to make these. */
export function isSameListing(a: Ruleset, b: Ruleset): boolean {
  const others = [...b];
  return (
    a.size === b.size &&
    [...a].every(([family, table], index) => {
      const [otherFamily, other] = others[index] ?? [];
      return family === otherFamily && other !== undefined && isSameTable(table, other);
    })
  );
}

const isSameTable = (a: NftTable, b: NftTable): boolean =>
  isDormant(a) === isDormant(b) && isSameMap(a.sets, b.sets, isSameSet) && isSameMap(a.chains, b.chains, isSameChain);

const isDormant = ({ flags = [] }: NftTable): boolean => flags.includes('dormant');

const isSameSet = (a: NftSet, b: NftSet): boolean =>
  a.kind === b.kind && a.spec === b.spec && isSameMap(a.elements, b.elements, (data, other) => data === other);

const isSameChain = (a: NftChain, b: NftChain): boolean =>
  a.hook === b.hook && a.rules.length === b.rules.length && a.rules.every((rule, index) => rule === b.rules[index]);

function isSameMap<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>, isSame: (a: T, b: T) => boolean): boolean {
  if (a.size !== b.size) return false;
  for (const [name, one] of a) {
    const other = b.get(name);
    if (other === undefined || !isSame(one, other)) return false;
  }
  return true;
}

/** Elements by table and set. */
export type Elements = ReadonlyMap<TableFamily, ReadonlyMap<string, NftSet['elements']>>;

/**
 * A ruleset without those elements that `observed`, a listing, has in the very words in which they are rendered: nft reads
 * what it says, and would say the same again. Of those that lead to the same chain one stays, so that loading the rest is
 * still the complete validation of the chains. Intervals stay, since nft may join them.
 */
export function* withoutListed(
  rendered: Ruleset,
  observed: Ruleset,
): Pieces<{ readonly rest: Ruleset; readonly same: Elements }> {
  const same = new Map<TableFamily, Map<string, NftSet['elements']>>();
  const rest = new Map<TableFamily, NftTable>();
  for (const [family, table] of rendered) {
    const listed = observed.get(family)?.sets;
    const known = new Map<string, NftSet['elements']>();
    const sets = new Map<string, NftSet>();
    for (const [name, set] of table.sets) {
      const elements = yield* sayTheSame(set, listed?.get(name));
      known.set(name, elements);
      sets.set(name, yield* without(set, elements));
      yield;
    }
    same.set(family, known);
    rest.set(family, { ...table, sets });
  }
  return { rest, same };
}

const NONE: NftSet['elements'] = new Map();

/** So many elements take a millisecond at most. */
const AT_ONCE = 2000;

function* sayTheSame(set: NftSet, listed: NftSet | undefined): Pieces<NftSet['elements']> {
  if (listed === undefined || set.dynamic || set.spec.includes('interval') || listed.spec.includes('interval'))
    return NONE;
  const validated = new Set<string>();
  return yield* filterElements(set.elements, (key, data) => {
    if (listed.elements.get(key) !== data) return false;
    if (data === '' || validated.has(data)) return true;
    validated.add(data);
    return false;
  });
}

function* without(set: NftSet, elements: NftSet['elements']): Pieces<NftSet> {
  if (elements.size === 0) return set;
  if (elements.size === set.elements.size) return { ...set, elements: NONE };
  return { ...set, elements: yield* filterElements(set.elements, (key) => !elements.has(key)) };
}

function* filterElements(
  elements: NftSet['elements'],
  test: (key: string, data: string) => boolean,
): Pieces<NftSet['elements']> {
  const kept = new Map<string, string>();
  let seen = 0;
  for (const [key, data] of elements) {
    if (test(key, data)) kept.set(key, data);
    seen += 1;
    if (seen % AT_ONCE === 0) yield;
  }
  return kept;
}

/**
 * The listing of all, out of that of the rest. `undefined` where a set isn't declared as in `observed`: then its elements
 * may be listed in other words.
 */
export function withListed(rest: Ruleset, same: Elements, observed: Ruleset): Ruleset | undefined {
  const whole = new Map<TableFamily, NftTable>();
  for (const [family, table] of rest) {
    const sets = new Map(table.sets);
    for (const [name, elements] of same.get(family) ?? []) {
      const set = sets.get(name);
      if (elements.size === 0) continue;
      if (set === undefined || set.spec !== observed.get(family)?.sets.get(name)?.spec) return undefined;
      sets.set(name, { ...set, elements: new Map([...set.elements, ...elements]) });
    }
    whole.set(family, { ...table, sets });
  }
  return whole;
}

/**
 * The commands that make the kernel's tables what they should be again. `observed` and `expected` are listings, of
 * the kernel and of `rendered` loaded elsewhere; only what differs between the two is written.
 */
export function diffListings(observed: Ruleset, expected: Ruleset, rendered: Ruleset): string[] {
  const baseline = new Map(
    [...observed].map(([family, table]): [TableFamily, NftTable] => [
      family,
      translate(table, expected.get(family), rendered.get(family)),
    ]),
  );
  return diffRulesets(baseline, rendered);
}

/** What agrees with its listing is said in our own words, so that it drops out; the rest stays in the kernel's. */
function translate(observed: NftTable, expected: NftTable | undefined, rendered: NftTable | undefined): NftTable {
  return {
    ...observed,
    sets: new Map(
      [...observed.sets].map(([name, set]) => [
        name,
        translateSet(set, expected?.sets.get(name), rendered?.sets.get(name)),
      ]),
    ),
    chains: new Map(
      [...observed.chains].map(([name, chain]) => [
        name,
        translateChain(chain, expected?.chains.get(name), rendered?.chains.get(name)),
      ]),
    ),
  };
}

function translateSet(observed: NftSet, expected: NftSet | undefined, rendered: NftSet | undefined): NftSet {
  if (expected === undefined || rendered === undefined) return observed;
  const spec = observed.spec === expected.spec ? rendered.spec : observed.spec;
  return { ...observed, spec, elements: sameElements(observed, expected) ? rendered.elements : observed.elements };
}

function sameElements(a: NftSet, b: NftSet): boolean {
  if (a.elements.size !== b.elements.size) return false;
  for (const [key, data] of a.elements) if (b.elements.get(key) !== data) return false;
  return true;
}

function translateChain(observed: NftChain, expected: NftChain | undefined, rendered: NftChain | undefined): NftChain {
  if (expected === undefined || rendered === undefined) return observed;
  return {
    hook: observed.hook === expected.hook ? rendered.hook : observed.hook,
    rules: observed.rules.join('\n') === expected.rules.join('\n') ? rendered.rules : observed.rules,
  };
}
