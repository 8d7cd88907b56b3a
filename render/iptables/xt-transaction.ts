/** The steps from one set of rules to another, in the order in which what closes comes before what opens. */
import type { Family } from '../address.ts';
import { FAMILIES, type XtRuleset, type XtSet, type XtTable, type XtTableName } from './xt-ruleset.ts';

/** What one tool is told: an input for the restoring ones, or the words of one call. */
export type XtStep =
  | { readonly tool: 'ipset'; readonly lines: readonly string[] }
  /** All or nothing for each table in it. */
  | { readonly tool: 'restore'; readonly family: Family; readonly lines: readonly string[] }
  | { readonly tool: 'arptables'; readonly lines: readonly string[] };

const TABLES: readonly XtTableName[] = ['raw', 'filter'];

const EMPTY_TABLE: XtTable = { jumps: new Map(), chains: new Map() };

/** Where a whole set is filled before it takes the other's place. */
const SWAP = 'RW-swap';

export const ARP_CHAIN = 'RW-ARP';

/** Steps that would write nothing are left out. */
export function diffXt(before: XtRuleset, after: XtRuleset): XtStep[] {
  const sets = diffSets(before.sets, after.sets);
  const arp = diffArp(before.arp, after.arp);
  const steps: XtStep[] = [
    // A NIC that loses an address is silenced before its rules go; one that gets an address may send once its rules are there.
    { tool: 'ipset', lines: [...sets.make, ...sets.close] },
    { tool: 'arptables', lines: arp.close },
    ...FAMILIES.map((family): XtStep => ({ tool: 'restore', family, lines: restoreLines(before, after, family) })),
    { tool: 'ipset', lines: [...sets.open, ...sets.destroy] },
    { tool: 'arptables', lines: arp.open },
  ];
  return steps.filter(({ lines }) => lines.length > 0);
}

export const linesOf = (steps: readonly XtStep[]): string[] => steps.flatMap(({ lines }) => lines);

function restoreLines(before: XtRuleset, after: XtRuleset, family: Family): string[] {
  return TABLES.flatMap((name) => {
    const [old, next] = [before, after].map((ruleset) => ruleset.families.get(family)?.tables.get(name) ?? EMPTY_TABLE);
    const lines = diffTable(old ?? EMPTY_TABLE, next ?? EMPTY_TABLE);
    return lines.length === 0 ? [] : [`*${name}`, ...lines, 'COMMIT'];
  });
}

/** `:CHAIN - [0:0]` makes a chain or empties it; with its rules behind it, in one commit, it is replaced. */
function diffTable(before: XtTable, after: XtTable): string[] {
  const changed = [...after.chains].filter(([name, rules]) => !isSame(before.chains.get(name), rules));
  const gone = [...before.chains.keys()].filter((name) => !after.chains.has(name));
  const builtins = new Set([...before.jumps.keys(), ...after.jumps.keys()]);
  const jumps = [...builtins].flatMap((builtin) =>
    diffJumps(builtin, before.jumps.get(builtin) ?? [], after.jumps.get(builtin) ?? []),
  );
  return [
    ...[...changed.map(([name]) => name), ...gone].map((name) => `:${name} - [0:0]`),
    ...changed.flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...jumps,
    ...gone.map((name) => `-X ${name}`),
  ];
}

function diffJumps(builtin: string, before: readonly string[], after: readonly string[]): string[] {
  if (isSame(before, after)) return [];
  return [
    ...before.filter((jump) => jump !== DISPLACED).map((jump) => `-D ${builtin} ${jump}`),
    ...after.map((jump, index) => `-I ${builtin} ${index + 1} ${jump}`),
  ];
}

/** Stands in a listing before jumps of ours that another's rule precedes. */
export const DISPLACED = '';

const isSame = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a !== undefined && a.length === b.length && a.every((rule, index) => rule === b[index]);

interface SetLines {
  /** New sets, and whole ones with other elements. */
  readonly make: string[];
  readonly close: string[];
  readonly open: string[];
  readonly destroy: string[];
}

function diffSets(before: XtRuleset['sets'], after: XtRuleset['sets']): SetLines {
  const lines: SetLines = { make: [], close: [], open: [], destroy: [] };
  for (const [name, set] of after) {
    const old = before.get(name);
    if (set.kind === 'owned') {
      if (old === undefined) lines.make.push(createLine(name, set));
      lines.close.push(...minus(old, set).map((element) => `del ${name} ${element}`));
      lines.open.push(...minus(set, old).map((element) => `add ${name} ${element}`));
    } else if (old === undefined) lines.make.push(...fill(name, set));
    else if (set.kind === 'whole' && (minus(old, set).length > 0 || minus(set, old).length > 0))
      lines.make.push(...fill(SWAP, set), `swap ${SWAP} ${name}`, `destroy ${SWAP}`);
  }
  for (const name of before.keys()) if (!after.has(name)) lines.destroy.push(`destroy ${name}`);
  return lines;
}

const fill = (name: string, set: XtSet): string[] => [
  createLine(name, set),
  ...[...set.elements].map((element) => `add ${name} ${element}`),
];

export const createLine = (name: string, { type, family, options }: XtSet): string =>
  `create ${name} ${type} family ${family === 4 ? 'inet' : 'inet6'} ${options}`;

const minus = (a: XtSet | undefined, b: XtSet | undefined): string[] =>
  [...(a?.elements ?? [])].filter((element) => b?.elements.has(element) !== true);

/** One call of arptables each: it has no restoring that leaves others' rules alone. */
function diffArp(before: ReadonlySet<string>, after: ReadonlySet<string>): { close: string[]; open: string[] } {
  const gone = [...before].filter((rule) => !after.has(rule) && !isMark(rule));
  const come = [...after].filter((rule) => !before.has(rule));
  const isDrop = (rule: string): boolean => rule.startsWith('-j DROP');
  const [drops, returns] = [come.filter(isDrop), come.filter((rule) => !isDrop(rule))];
  if (after.size === 0) {
    if (before.size === 0) return { close: [], open: [] };
    const jump = before.has(ARP_MARKS.noJump) ? [] : [`-D INPUT -j ${ARP_CHAIN}`];
    return { close: [], open: [...jump, `-F ${ARP_CHAIN}`, `-X ${ARP_CHAIN}`] };
  }
  return {
    close: [
      ...(before.size === 0 ? [`-N ${ARP_CHAIN}`] : []),
      ...gone.filter((rule) => !isDrop(rule)).map((rule) => `-D ${ARP_CHAIN} ${rule}`),
      ...drops.map((rule) => `-A ${ARP_CHAIN} ${rule}`),
    ],
    open: [
      ...returns.map((rule) => `-I ${ARP_CHAIN} ${rule}`),
      ...(before.size === 0 || before.has(ARP_MARKS.noJump) ? [`-I INPUT -j ${ARP_CHAIN}`] : []),
      ...gone.filter(isDrop).map((rule) => `-D ${ARP_CHAIN} ${rule}`),
    ],
  };
}

/** Stand in a listing for our chain while no jump leads there, or while it is empty. */
export const ARP_MARKS = { noJump: 'no jump', noRules: 'no rules' } as const;

const isMark = (rule: string): boolean => Object.values<string>(ARP_MARKS).includes(rule);
