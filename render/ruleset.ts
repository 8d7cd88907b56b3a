/** The nouns of nft's text: our tables as sets, maps and chains whose elements and rules are single lines. */
import { atOnce, type Pieces } from './pieces.ts';

/**
 * What rules refer to by name. `elements` maps an element to its data; in a set the data is empty. A limit has no
 * elements; nft silently ignores another rate for a limit that exists, so a limit's name must tell its rate.
 */
export interface NftSet {
  readonly kind: 'set' | 'map' | 'limit';
  /** Everything between the braces but the elements: `typeof iifname . ip saddr; counter;` */
  readonly spec: string;
  /** Filled by the packet path (`flags dynamic`): its elements are the kernel's, never compared or rewritten. */
  readonly dynamic: boolean;
  readonly elements: ReadonlyMap<string, string>;
}

export interface NftChain {
  /** `type filter hook forward priority filter - 10; policy accept;`, or empty for a chain that is only jumped to. */
  readonly hook: string;
  readonly rules: readonly string[];
}

export interface NftTable {
  /** In nft's words; in a listing, `owner` may be any process, and `dormant` is a table that someone switched off. */
  readonly flags?: readonly TableFlag[];
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, NftChain>;
}

export type TableFlag = 'dormant' | 'owner' | 'persist';

/**
 * Held by the process that adds it so: no other program's `flush ruleset` or edit touches the table, and when the
 * process ends, `persist` leaves it to the next one. Never one without the other: an owner's table would go with it.
 */
export const OWNED_TABLE: readonly TableFlag[] = ['owner', 'persist'];

/** What the next owner may take over as it is: `persist` can't be given to a table that exists. */
export const ORPHAN_TABLE: readonly TableFlag[] = ['persist'];

export const withFlags = (ruleset: Ruleset, flags: readonly TableFlag[]): Ruleset =>
  new Map([...ruleset].map(([family, table]) => [family, { ...table, flags }]));

/** `bridge` only where a container hangs on one. */
export type TableFamily = 'inet' | 'arp' | 'bridge';

/** The tables that exist, by family; all are named `routewall`. */
export type Ruleset = ReadonlyMap<TableFamily, NftTable>;

export const TABLE = 'routewall';

export const EMPTY_RULESET: Ruleset = new Map();

/** The whole ruleset as a file that `nft -f` loads into a kernel that has none of it. */
export const renderRuleset = (ruleset: Ruleset): string => atOnce(renderRulesetInPieces(ruleset));

export function* renderRulesetInPieces(ruleset: Ruleset): Pieces<string> {
  const tables: string[] = [];
  for (const [family, table] of ruleset) tables.push(yield* renderTable(family, table));
  return tables.join('\n');
}

function* renderTable(family: TableFamily, table: NftTable): Pieces<string> {
  const blocks: string[] = [];
  for (const [name, set] of table.sets) {
    blocks.push(block(`${set.kind} ${name}`, yield* setLines(set)));
    yield;
  }
  for (const [name, { hook, rules }] of table.chains) {
    blocks.push(block(`chain ${name}`, hook === '' ? rules : [hook, ...rules]));
    yield;
  }
  return `table ${family} ${TABLE} {\n${flagsLine(table)}${blocks.join('\n')}}\n`;
}

const flagsLine = ({ flags = [] }: NftTable): string => (flags.length === 0 ? '' : `\tflags ${flags.join(', ')};\n`);

/** So many elements take some hundred microseconds. */
const AT_ONCE = 1000;

function* setLines(set: NftSet): Pieces<string[]> {
  const lines = set.spec.split(/(?<=;) /);
  if (set.elements.size === 0) return lines;
  lines.push('elements = {');
  for (const [key, data] of set.elements) {
    lines.push(`\t${element(key, data)},`);
    if (lines.length % AT_ONCE === 0) yield;
  }
  lines.push('}');
  return lines;
}

/** One element as nft takes it: `"veth0" . 198.51.100.10`, or with data `"veth0" : goto egress_…`. */
export const element = (key: string, data: string): string => (data === '' ? key : `${key} : ${data}`);

function block(head: string, lines: readonly string[]): string {
  return `\t${head} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}
