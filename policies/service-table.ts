/** What each service name stands for: the host's own (services.yaml) before the catalogue's. */
import type { ServiceMatch } from '../render/rule.ts';
import { catalogue } from './catalogue.ts';
import { parseContent } from './parse-content.ts';
import { problemOf } from './policy-document.ts';
import type { Problem } from './problem.ts';
import { isServiceName, parseServiceWord } from './services.ts';
import { type FileContent, type Finding, maxStructuredBytes, readSourceText } from './source-text.ts';
import { didYouMean } from './suggest.ts';

type ResolvedService = { readonly matches: readonly ServiceMatch[] } | { readonly message: string };

export interface ServiceTable {
  /** Any service word; the message says what would be right. */
  readonly resolve: (word: string) => ResolvedService;
  readonly ownNames: readonly string[];
  readonly problems: readonly Problem[];
}

/** An entry of services.yaml on its way to what it stands for. */
interface Entry {
  readonly words: readonly string[];
  readonly placeOf: (index: number) => { readonly line: number; readonly column: number };
  state: 'new' | 'resolving' | ResolvedService;
}

interface Table {
  readonly file: string;
  readonly entries: Map<string, Entry>;
  /** The names in services.yaml are unknown, so that any name might be one of them. */
  readonly broken: boolean;
  readonly findings: Finding[];
}

/** The catalogue alone: the host has no services.yaml. */
export const catalogueTable: ServiceTable = tableOf({ file: '', entries: new Map(), broken: false, findings: [] });

export function readServiceTable(file: string, content: FileContent): ServiceTable {
  const source = readSourceText(content, maxStructuredBytes);
  if ('finding' in source) return brokenTable(file, [problemOf(file, source.finding)]);
  const parsed = parseContent('services', source.text, file.endsWith('.json') ? 'json' : 'yaml');
  if (parsed.data === undefined || parsed.faults.some((path) => path.length === 0)) {
    return brokenTable(
      file,
      parsed.findings.map((finding) => problemOf(file, finding)),
    );
  }
  const table: Table = { file, entries: new Map(), broken: false, findings: [...parsed.findings] };
  for (const [name, value] of Object.entries(parsed.data)) {
    const placeOf = (index: number) => parsed.places.placeOf(typeof value === 'string' ? [name] : [name, index]);
    const entry: Entry = { words: typeof value === 'string' ? [value] : value, placeOf, state: 'new' };
    if (acceptName(name, table, parsed.places.placeOf([name], 'key'))) table.entries.set(name, entry);
  }
  for (const path of parsed.faults) {
    const message = `the service "${path[0]}" is broken: see ${file}`;
    table.entries.set(String(path[0]), { words: [], placeOf: () => ({ line: 1, column: 1 }), state: { message } });
  }
  for (const name of table.entries.keys()) resolveName(name, table);
  return tableOf(table);
}

/** The names in services.yaml are unknown, so that no name can be looked up. */
export function brokenTable(file: string, problems: readonly Problem[]): ServiceTable {
  return { ...tableOf({ file, entries: new Map(), broken: true, findings: [] }), problems };
}

function tableOf(table: Table): ServiceTable {
  const known = new Map<string, ResolvedService>();
  return {
    resolve: (word) => {
      const resolved = known.get(word) ?? resolveWord(word, table);
      known.set(word, resolved);
      return resolved;
    },
    ownNames: [...table.entries.keys()],
    problems: table.findings.map((finding) => problemOf(table.file, finding)),
  };
}

function acceptName(name: string, { findings }: Table, place: { line: number; column: number }): boolean {
  if (isServiceName(name) && parseServiceWord(name).kind !== 'name') {
    findings.push({ ...place, message: `"${name}" is a word of the policy language: choose another name` });
    return false;
  }
  if (catalogue.has(name)) {
    const message = `"${name}" takes the place of the catalogue's ${name} (${catalogue.get(name)?.services.join(', ')})`;
    findings.push({ ...place, message, severity: 'warning' });
  }
  return true;
}

function resolveWord(text: string, table: Table): ResolvedService {
  const word = parseServiceWord(text);
  switch (word.kind) {
    case 'matches':
      return word;
    case 'error':
      return word;
    case 'name':
      return resolveName(word.name, table);
  }
}

function resolveName(name: string, table: Table): ResolvedService {
  if (table.broken) return { message: `"${name}" can't be looked up: ${table.file} has errors` };
  const entry = table.entries.get(name);
  if (entry === undefined) return fromCatalogue(name, table);
  if (entry.state === 'resolving') return { message: `"${name}" refers to itself` };
  if (entry.state !== 'new') return entry.state;
  entry.state = 'resolving';
  entry.state = resolveEntry(name, entry, table);
  return entry.state;
}

function resolveEntry(name: string, entry: Entry, table: Table): ResolvedService {
  const matches: ServiceMatch[] = [];
  let broken = false;
  for (const [index, word] of entry.words.entries()) {
    // `ssh: [ssh, tcp/2222]` extends the catalogue's ssh.
    const resolved = word === name && catalogue.has(name) ? fromCatalogue(name, table) : resolveWord(word, table);
    if ('matches' in resolved) matches.push(...resolved.matches);
    else {
      table.findings.push({ ...entry.placeOf(index), message: resolved.message });
      broken = true;
    }
  }
  return broken
    ? { message: `the service "${name}" is broken: see ${table.file}:${entry.placeOf(0).line}` }
    : { matches };
}

function fromCatalogue(name: string, { entries }: Table): ResolvedService {
  const entry = catalogue.get(name);
  if (entry === undefined) {
    const hint = didYouMean(name, ['any', ...entries.keys(), ...catalogue.keys()]) || ' (names: man routewall-policy)';
    return { message: `unknown service "${name}"${hint}` };
  }
  const words = entry.services.map((service) => parseServiceWord(service));
  return { matches: words.flatMap((word) => (word.kind === 'matches' ? word.matches : [])) };
}
