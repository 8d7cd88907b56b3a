/** YAML and JSON text as plain data with the place of every key and value; only what a policy needs of YAML. */
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { findJsonMistake } from './json-syntax.ts';
import { isNestedTooDeeply } from './nesting.ts';
import { createPlaces, lineStartsOf, type PlaceNode, type Places, placeAt } from './places.ts';
import { type Finding, maxFindings } from './source-text.ts';

export interface ParsedText {
  /** `undefined` where the text is no YAML at all; mappings have no prototype. */
  readonly data: unknown;
  readonly places: Places;
  readonly findings: readonly Finding[];
}

/** A walk over one document: what it finds wrong, by offset. */
interface Walk {
  readonly report: (offset: number, message: string) => void;
  readonly lineOf: (offset: number) => number;
}

interface Walked {
  readonly data: unknown;
  readonly place: PlaceNode;
}

/** An empty file is an empty mapping. Never throws. */
export function parseYaml(text: string, format: 'yaml' | 'json'): ParsedText {
  const lineStarts = lineStartsOf(text);
  if (isNestedTooDeeply(text)) return { data: undefined, places: createPlaces(0, [0]), findings: [tooDeep] };
  const findings: Finding[] = [];
  const report = (offset: number, message: string) => findings.push({ ...placeAt(offset, lineStarts), message });
  try {
    const root = parseRoot(text, format, lineStarts, report);
    if (findings.length > 0) return { data: undefined, places: createPlaces(0, lineStarts), findings };
    const walk: Walk = { report, lineOf: (offset) => placeAt(offset, lineStarts).line };
    const { data, place } = root === null ? emptyMapping() : walkNode(root, walk);
    return { data: data === null ? emptyMapping().data : data, places: createPlaces(place, lineStarts), findings };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { data: undefined, places: createPlaces(0, [0]), findings: [tooDeep] };
  }
}

const nestedTooDeeply = 'nested too deeply to be a policy';
const tooDeep: Finding = { line: 1, column: 1, message: nestedTooDeeply };

const emptyMapping = (): Walked => ({ data: Object.create(null), place: 0 });

function parseRoot(
  text: string,
  format: 'yaml' | 'json',
  lineStarts: readonly number[],
  report: Walk['report'],
): Node | null {
  // The parser's own check for duplicate keys takes quadratic time.
  const document = parseDocument(text, { uniqueKeys: false, merge: false, prettyErrors: false });
  const mistake = format === 'json' && text.trim() !== '' ? findJsonMistake(text, document) : undefined;
  if (mistake !== undefined) {
    report(mistake.offset, mistake.message);
    return null;
  }
  const lines = new Set<number>();
  // The parser takes a line that is indented too deeply for more of the value before it, and complains there.
  const tooDeepKeys = new Map(
    document.errors.flatMap(({ code, pos }) => (code === 'MULTILINE_IMPLICIT_KEY' ? [[pos[0], pos[1]]] : [])),
  );
  for (const { code, pos, message } of document.errors) {
    // The parser turns its own overflow into an error at some place that depends on the stack.
    if (/call stack/i.test(message)) throw new RangeError(message);
    const { line } = placeAt(pos[0], lineStarts);
    if (lines.size >= maxFindings) break;
    const keyEnd = code === 'BLOCK_AS_IMPLICIT_KEY' ? tooDeepKeys.get(pos[0]) : undefined;
    // One slip makes the parser complain about the rest of the line as well.
    if (lines.has(line)) continue;
    if (keyEnd === undefined) report(pos[0], clearer[code] ?? `not valid ${format.toUpperCase()}: ${plain(message)}`);
    else report(firstWord(text, keyEnd), deeper(line));
    lines.add(line);
  }
  return document.contents;
}

const deeper = (line: number): string =>
  `not valid YAML: indented deeper than the key in line ${line} that it stands beside; or put quotes around a text of several lines`;

/** Of the line that the offset is in. */
function firstWord(text: string, offset: number): number {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  return start + text.slice(start).search(/\S/);
}

/** What the parser says of common slips, in words that name the way out. */
const clearer: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'not valid YAML: "*" begins an alias, which is not supported; put quotes around the text',
  BLOCK_AS_IMPLICIT_KEY: 'not valid YAML: a second ": " in one line, or a ":" at its end; put quotes around the text',
  MULTIPLE_DOCS: 'not valid YAML: one file holds one document; remove what follows ---',
  MULTILINE_IMPLICIT_KEY: 'not valid YAML: no "KEY: VALUE"; behind the colon there has to be a space',
  TAB_AS_INDENT: 'not valid YAML: a tab as indentation; use spaces',
};

const plain = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1);

function walkNode(node: unknown, walk: Walk, fallback = 0): Walked {
  if (isAlias(node)) {
    walk.report(startOf(node, fallback), 'aliases (*name) are not supported: write the value out, or use a profile');
    return { data: null, place: startOf(node, fallback) };
  }
  if (isMap(node)) return walkMapping(node, walk, startOf(node, fallback));
  if (isSeq(node)) {
    const at = startOf(node, fallback);
    refuseTag(node, walk, at);
    const items = node.items.map((item) => walkNode(item, walk, at));
    return { data: items.map(({ data }) => data), place: { at, items: items.map(({ place }) => place) } };
  }
  if (isScalar(node)) {
    refuseTag(node, walk, startOf(node, fallback));
    return { data: node.value, place: startOf(node, fallback) };
  }
  return { data: null, place: fallback };
}

function walkMapping(map: YAMLMap, walk: Walk, at: number): Walked {
  refuseTag(map, walk, at);
  const data: Record<string, unknown> = Object.create(null);
  const keys = new Map<string, { at: number; value: PlaceNode }>();
  for (const pair of map.items) {
    const keyAt = startOf(pair.key, at);
    const key = keyOf(pair, walk, keyAt);
    if (key === undefined) continue;
    const first = keys.get(key);
    if (first !== undefined) {
      walk.report(keyAt, `"${key}" is given twice: first in line ${walk.lineOf(first.at)}`);
      continue;
    }
    const value = walkNode(pair.value, walk, keyAt);
    data[key] = value.data;
    keys.set(key, { at: keyAt, value: value.place });
  }
  return { data, place: { at, keys } };
}

function keyOf({ key }: Pair, walk: Walk, at: number): string | undefined {
  if (!isScalar(key) || (typeof key.value !== 'string' && typeof key.value !== 'number')) {
    walk.report(at, 'a key must be plain text');
    return undefined;
  }
  if (key.value === '<<') {
    walk.report(at, 'merge keys (<<) are not supported: share rules by a profile, with use');
    return undefined;
  }
  refuseTag(key, walk, at);
  return String(key.value);
}

function refuseTag(node: Node, walk: Walk, at: number): void {
  if (node.tag !== undefined) walk.report(at, `tags (${node.tag}) are not supported: write the plain value`);
}

function startOf(node: unknown, fallback: number): number {
  if (typeof node !== 'object' || node === null || !('range' in node)) return fallback;
  return Array.isArray(node.range) && typeof node.range[0] === 'number' ? node.range[0] : fallback;
}
