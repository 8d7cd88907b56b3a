/** Named sets of addresses (sets/NAME.yaml, .json or .txt). */
import { type AddressRange, mergeRanges, parseRange } from '../render/address.ts';
import { parseContent } from './parse-content.ts';
import { hostBitsWarning } from './peer-words.ts';
import { problemOf } from './policy-document.ts';
import { isError, type Problem } from './problem.ts';
import {
  type FileContent,
  type Finding,
  maxFindings,
  maxListBytes,
  maxStructuredBytes,
  readSourceText,
} from './source-text.ts';

export interface AddressSet {
  readonly file: string;
  readonly ok: boolean;
  /** Merged and sorted. */
  readonly ranges: { readonly 4: readonly AddressRange[]; readonly 6: readonly AddressRange[] };
  readonly problems: readonly Problem[];
}

export function readAddressSet(file: string, content: FileContent): AddressSet {
  const isList = file.endsWith('.txt');
  const source = readSourceText(content, isList ? maxListBytes : maxStructuredBytes);
  if ('finding' in source) return brokenSet(file, [problemOf(file, source.finding)]);
  const { ranges, findings } = isList
    ? parseAddressList(source.text)
    : parseAddressYaml(source.text, file.endsWith('.json') ? 'json' : 'yaml');
  const problems = findings.map((finding) => problemOf(file, finding));
  if (problems.some(isError)) return brokenSet(file, problems);
  const merged = mergeRanges(ranges);
  const ofFamily = (family: 4 | 6) => merged.filter((range) => range.family === family);
  return { file, ok: true, ranges: { 4: ofFamily(4), 6: ofFamily(6) }, problems };
}

export const brokenSet = (file: string, problems: readonly Problem[]): AddressSet => ({
  file,
  ok: false,
  ranges: { 4: [], 6: [] },
  problems,
});

interface ParsedAddresses {
  readonly ranges: AddressRange[];
  readonly findings: Finding[];
  errors: number;
}

/** One address, prefix or range a line; `#` begins a comment. */
function parseAddressList(text: string): ParsedAddresses {
  const parsed: ParsedAddresses = { ranges: [], findings: [], errors: 0 };
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (parsed.errors >= maxFindings) break;
    const entry = line.replace(/#.*/, '').trim();
    if (entry !== '') addEntry(parsed, entry, { line: index + 1, column: line.indexOf(entry) + 1 });
  }
  return parsed;
}

function parseAddressYaml(text: string, syntax: 'yaml' | 'json'): ParsedAddresses {
  const { data, places, findings } = parseContent('set', text, syntax);
  const parsed: ParsedAddresses = { ranges: [], findings: [...findings], errors: 0 };
  for (const [index, entry] of (data ?? []).entries()) addEntry(parsed, entry, places.placeOf([index]));
  return parsed;
}

/** However many are wrong: the first error already makes the set a broken one, while warnings leave nothing out. */
function addEntry(parsed: ParsedAddresses, entry: string, place: { line: number; column: number }): void {
  const range = parseRange(entry);
  if (range === undefined) {
    parsed.errors += 1;
    parsed.findings.push({ ...place, message: `"${entry}" is no address, prefix or range` });
    return;
  }
  parsed.ranges.push(range);
  const warning = hostBitsWarning(entry, range);
  if (warning === undefined || parsed.findings.length >= maxFindings) return;
  parsed.findings.push({ ...place, message: warning, severity: 'warning' });
}
