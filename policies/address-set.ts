/** Named sets of addresses (sets/NAME.yaml, .json or .txt). */
import { type AddressRange, mergeRanges, parseRange } from '../render/address.ts';
import { addressHint } from './address-mistake.ts';
import { parseContent } from './parse-content.ts';
import { hostBitsWarning } from './peer-words.ts';
import type { Place } from './places.ts';
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
  const count4 = merged.findLastIndex(({ family }) => family === 4) + 1;
  return { file, ok: true, ranges: { 4: merged.slice(0, count4), 6: merged.slice(count4) }, problems };
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
  for (let start = 0, number = 1; start <= text.length && parsed.errors < maxFindings; number += 1) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? undefined : end);
    addLine(parsed, line, number);
    start += line.length + 1;
  }
  return parsed;
}

function addLine(parsed: ParsedAddresses, line: string, number: number): void {
  const comment = line.indexOf('#');
  const entry = (comment < 0 ? line : line.slice(0, comment)).trim();
  const mistake = entry === '' ? undefined : addEntry(parsed, entry);
  if (mistake !== undefined) parsed.findings.push({ line: number, column: line.indexOf(entry) + 1, ...mistake });
}

function parseAddressYaml(text: string, syntax: 'yaml' | 'json'): ParsedAddresses {
  const { data, places, findings } = parseContent('set', text, syntax);
  const parsed: ParsedAddresses = { ranges: [], findings: [...findings], errors: 0 };
  for (const [index, entry] of (data ?? []).entries()) {
    const mistake = addEntry(parsed, entry);
    if (mistake !== undefined) parsed.findings.push({ ...places.placeOf([index]), ...mistake });
  }
  return parsed;
}

/**
 * However many are wrong: the first error already makes the set a broken one, while warnings leave nothing out.
 * @returns what is to be told of it.
 */
function addEntry(parsed: ParsedAddresses, entry: string): Omit<Finding, keyof Place> | undefined {
  const range = parseRange(entry);
  if (range === undefined) {
    parsed.errors += 1;
    return { message: `"${entry}" is no address, prefix or range${addressHint(entry)}` };
  }
  parsed.ranges.push(range);
  const warning = hostBitsWarning(entry, range);
  if (warning === undefined || parsed.findings.length >= maxFindings) return undefined;
  return { message: warning, severity: 'warning' };
}
