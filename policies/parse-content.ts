/** One structured file's text as checked data: what is wrong with it, and what can still be used of it. */
import { parseYaml } from './parse-yaml.ts';
import type { Path, Places } from './places.ts';
import { checkFormat } from './schema-findings.ts';
import type { Finding } from './source-text.ts';
import { type Format, type Formats, isOfFormat } from './validator.ts';

export interface ParsedContent<F extends Format> {
  /**
   * Where `findings` holds errors, only what is left without the faulty parts, so that the rest can be checked too:
   * never to be enforced. `undefined` where nothing is left.
   */
  readonly data: Formats[F] | undefined;
  readonly places: Places;
  readonly findings: readonly Finding[];
  /** The paths of the faulty parts. */
  readonly faults: readonly Path[];
}

export function parseContent<F extends Format>(format: F, text: string, syntax: 'yaml' | 'json'): ParsedContent<F> {
  const parsed = parseYaml(text, syntax);
  if (parsed.data === undefined) return { ...parsed, data: undefined, faults: [[]] };
  // Whoever writes a file in place empties it first: that moment must not close a container.
  if (format === 'policy' && text.trim() === '') return { ...parsed, data: undefined, findings: [EMPTY], faults: [[]] };
  const data = format === 'set' && isEmptyMapping(parsed.data) ? [] : parsed.data;
  const complaints = checkFormat(format, data);
  for (const { path } of complaints) removeFault(data, path);
  const faults = [...complaints.map(({ path }) => path), ...(parsed.findings.length > 0 ? [[]] : [])];
  const places = parsed.places;
  const placed = complaints.map(({ path, part, message }) => ({ ...places.placeOf(path, part), message }));
  // Where the parser left a hole, the schema's complaint about it is no second mistake.
  const holes = new Set(parsed.findings.map(({ line, column }) => `${line}:${column}`));
  const findings = [...parsed.findings, ...placed.filter(({ line, column }) => !holes.has(`${line}:${column}`))];
  return { data: isOfFormat(format, data) ? data : undefined, places, findings, faults };
}

const EMPTY: Finding = { line: 1, column: 1, message: 'the file is empty: write {} for a policy that allows nothing' };

/** An empty file parses as an empty mapping, whatever its format is. */
const isEmptyMapping = (data: unknown): boolean =>
  typeof data === 'object' && data !== null && !Array.isArray(data) && Object.keys(data).length === 0;

/** A faulty rule becomes a rule that is switched off, so that the places of its neighbours stay true. */
function removeFault(data: unknown, path: Path): void {
  if (path[0] === 'expect' && typeof data === 'object' && data !== null) Reflect.deleteProperty(data, 'expect');
  const rules = path.indexOf('rules');
  const index = path[rules + 1];
  if (rules > 0 && index !== undefined) {
    const list = valueAt(data, path.slice(0, rules + 1));
    const peers = path[rules - 1] === 'egress' ? 'to' : 'from';
    if (Array.isArray(list)) list[Number(index)] = { drop: 'any', [peers]: 'any', enabled: false };
    return;
  }
  for (let depth = path.length; depth > 0; depth--) {
    const parent = valueAt(data, path.slice(0, depth - 1));
    if (typeof parent !== 'object' || parent === null || Array.isArray(parent)) continue;
    Reflect.deleteProperty(parent, String(path[depth - 1]));
    return;
  }
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, String(step));
  }
  return value;
}
