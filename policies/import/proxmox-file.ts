/** A Proxmox .fw file, of a guest or of the cluster, as its sections; nothing is given a meaning yet. */
import type { Finding } from '../source-text.ts';

export interface FwRule {
  readonly line: number;
  /** `|` before the rule switches it off. */
  readonly enabled: boolean;
  readonly type: 'in' | 'out' | 'group';
  /** A macro's name, or that of a group. */
  readonly name: string | undefined;
  readonly action: 'ACCEPT' | 'DROP' | 'REJECT';
  /** Without dashes, in lower case: `source`, `dest`, `proto`, `dport`, `sport`, `icmp-type`, `log`, `iface`, … */
  readonly options: ReadonlyMap<string, string>;
  readonly comment: string | undefined;
}

export interface FwEntry {
  readonly line: number;
  readonly text: string;
}

export interface FwFile {
  readonly options: ReadonlyMap<string, FwEntry>;
  /** Names in lower case, as Proxmox compares them. */
  readonly aliases: ReadonlyMap<string, FwEntry>;
  readonly ipsets: ReadonlyMap<string, readonly FwEntry[]>;
  readonly groups: ReadonlyMap<string, readonly FwRule[]>;
  readonly rules: readonly FwRule[];
  readonly findings: readonly Finding[];
}

interface Draft {
  readonly options: Map<string, FwEntry>;
  readonly aliases: Map<string, FwEntry>;
  readonly ipsets: Map<string, FwEntry[]>;
  readonly groups: Map<string, FwRule[]>;
  readonly rules: FwRule[];
  readonly findings: Finding[];
}

type Take = (line: string, number: number) => void;

/** Never throws. What Proxmox can't read either, it skips with a warning; so do we. */
export function parseFwFile(text: string): FwFile {
  const draft: Draft = {
    ...{ options: new Map(), aliases: new Map(), ipsets: new Map(), groups: new Map() },
    ...{ rules: [], findings: [] },
  };
  let take: Take = (line, number) => draft.findings.push(skipped(number, `"${line}" is in no section`));
  let notes: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    const number = index + 1;
    // A line of its own is about what follows; a blank line ends it.
    if (line.startsWith('#')) notes.push(line.replace(/^#+\s*/, ''));
    else if (line === '') notes = [];
    else {
      const header = /^\[\s*(\w+)(?:\s+(\S+?))?\s*\]\s*(?:#.*)?$/.exec(line);
      if (header === null) take(withNotes(line, notes), number);
      else take = section(header[1]?.toLowerCase() ?? '', header[2]?.toLowerCase(), number, draft);
      notes = [];
    }
  }
  return draft;
}

const withNotes = (line: string, notes: readonly string[]): string =>
  notes.length === 0 || line.includes('#') ? line : `${line} # ${notes.join(' ')}`;

const skipped = (line: number, message: string): Finding => ({
  ...{ line, column: 1, severity: 'warning' },
  message: `${message}: left out, as Proxmox does`,
});

function section(kind: string, name: string | undefined, number: number, draft: Draft): Take {
  // Names become names of files.
  const isNamed = name !== undefined && /^[a-z][a-z0-9_-]*$/.test(name);
  if ((kind === 'group' || kind === 'ipset') && !isNamed) {
    draft.findings.push(skipped(number, `[${kind} ${name ?? ''}] has no valid name`));
    return () => undefined;
  }
  const into = <T>(map: Map<string, T[]>): T[] => {
    const list: T[] = [];
    map.set(name ?? '', list);
    return list;
  };
  switch (kind) {
    case 'options':
      return takeOption(draft);
    case 'aliases':
      return takeAlias(draft);
    case 'rules':
      return takeRule(draft, draft.rules);
    case 'group':
      return takeRule(draft, into(draft.groups));
    case 'ipset': {
      const entries = into(draft.ipsets);
      return (line, at) => void entries.push({ line: at, text: uncommented(line) });
    }
  }
  draft.findings.push(skipped(number, `the section [${kind}]`));
  return () => undefined;
}

const uncommented = (line: string): string => line.replace(/#.*$/, '').trim();

const takeOption =
  ({ options, findings }: Draft): Take =>
  (line, number) => {
    const [, key, value] = /^([\w-]+):\s*(.*)$/.exec(uncommented(line)) ?? [];
    if (key === undefined || value === undefined) findings.push(skipped(number, `"${line}" is no option`));
    else options.set(key.toLowerCase(), { line: number, text: value });
  };

const takeAlias =
  ({ aliases, findings }: Draft): Take =>
  (line, number) => {
    const [, name, address] = /^(\S+)\s+(\S+)$/.exec(uncommented(line)) ?? [];
    if (name === undefined || address === undefined) findings.push(skipped(number, `"${line}" is no alias`));
    else aliases.set(name.toLowerCase(), { line: number, text: address });
  };

const takeRule =
  ({ findings }: Draft, into: FwRule[]): Take =>
  (line, number) => {
    const rule = parseRule(line, number);
    if (typeof rule === 'string') findings.push(skipped(number, rule));
    else into.push(rule);
  };

/** As Proxmox names them, and as people write them. */
const OPTIONS: Readonly<Record<string, string>> = { i: 'iface', p: 'proto' };

/** What is wrong with it otherwise. */
function parseRule(line: string, number: number): FwRule | string {
  const [, bar, body = '', comment] = /^(\|?)\s*([^#]*?)\s*(?:#\s*(.*?)\s*)?$/.exec(line) ?? [];
  const [typeText = '', target = '', ...words] = body.split(/\s+/);
  const type = typeText.toLowerCase();
  if (type !== 'in' && type !== 'out' && type !== 'group') return `"${body}" is neither IN, OUT nor GROUP`;
  const options = new Map<string, string>();
  for (let index = 0; index < words.length; index += 2) {
    const [word = '', value] = words.slice(index, index + 2);
    if (!/^--?[a-z]/.test(word) || value === undefined) return `"${body}": "${word}" is no option with a value`;
    const key = word.replace(/^--?/, '').toLowerCase();
    options.set(OPTIONS[key] ?? key, value);
  }
  const shared = { line: number, enabled: bar === '', options, comment: comment === '' ? undefined : comment };
  if (type === 'group') return { ...shared, type, name: target.toLowerCase(), action: 'DROP' };
  const [, macro, within, plain] = /^(?:(\S+)\((\w+)\)|(\w+))$/.exec(target) ?? [];
  const action = (['ACCEPT', 'DROP', 'REJECT'] as const).find((known) => known === (within ?? plain));
  return action === undefined ? `"${target}" is no action` : { ...shared, type, name: macro, action };
}
