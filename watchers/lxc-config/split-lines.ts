/** Splits a configuration's text into `key = value` entries exactly as LXC does. */

interface Position {
  readonly line: number;
  readonly keyColumn: number;
  readonly valueColumn: number;
}

/** `key = value`, both trimmed, the value without its quotes. */
export interface KeyValue extends Position {
  readonly key: string;
  readonly value: string;
}

/** A line that begins `lxc.` and has no `=`. */
interface BareKey extends Position {
  readonly key: string;
  readonly value: undefined;
}

export type Entry = KeyValue | BareKey;

/**
 * The entries of a file, in order. LXC reads the file as a C string (it ends at the first NUL), ends lines at CR and LF
 * alike, trims blanks and tabs only, and ignores every line that doesn't begin with `lxc.`; `#` after a value is no comment.
 */
export function splitLines(text: string): Entry[] {
  const nul = text.indexOf('\0');
  const end = nul < 0 ? text.length : nul;
  const entries: Entry[] = [];
  // One pass without a string per line: a thousand containers include the same long files.
  for (let at = 0, line = 1; at < end; line += 1) {
    const start = skipBlanks(text, at);
    const stop = endOfLine(text, start, end);
    if (text.startsWith('lxc.', start)) entries.push(parseEntry(text.slice(at, stop), start - at, line));
    at = text.startsWith('\r\n', stop) ? stop + 2 : stop + 1;
  }
  return entries;
}

function endOfLine(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && text.charCodeAt(at) !== 0x0a && text.charCodeAt(at) !== 0x0d) at += 1;
  return at;
}

function parseEntry(line: string, start: number, number: number): Entry {
  const equals = line.indexOf('=', start);
  if (equals < 0) {
    const key = line.slice(start, trimmedEnd(line, start, line.length));
    return { line: number, key, keyColumn: start + 1, value: undefined, valueColumn: start + 1 };
  }
  const key = line.slice(start, trimmedEnd(line, start, equals));
  const valueStart = skipBlanks(line, equals + 1);
  const value = unquote(line.slice(valueStart, trimmedEnd(line, valueStart, line.length)));
  return { line: number, key, keyColumn: start + 1, value, valueColumn: valueStart + 1 };
}

/** One pair of equal quotes goes; what is inside keeps its blanks. */
function unquote(value: string): string {
  const first = value[0];
  if (value.length < 2 || (first !== '"' && first !== "'") || !value.endsWith(first)) return value;
  return value.slice(1, -1);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

function skipBlanks(line: string, from: number): number {
  let at = from;
  while (isBlank(line.charCodeAt(at))) at += 1;
  return at;
}

function trimmedEnd(line: string, start: number, from: number): number {
  let end = from;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1;
  return end;
}
