/** Splits a configuration's text into `key = value` entries exactly as LXC does. */

export interface Entry {
  readonly line: number;
  readonly key: string;
  readonly keyColumn: number;
  /** `undefined`: the line begins `lxc.` but has no `=`. */
  readonly value: string | undefined;
  readonly valueColumn: number;
}

/** An entry that has its `=`. */
export interface KeyValue extends Entry {
  readonly value: string;
}

/**
 * The entries of a file, in order. LXC reads the file as a C string (it ends at the first NUL), ends lines at CR and LF
 * alike, trims blanks and tabs only, and ignores every line that doesn't begin with `lxc.`; `#` after a value is no comment.
 */
export function splitLines(text: string): Entry[] {
  const nul = text.indexOf('\0');
  const lines = (nul < 0 ? text : text.slice(0, nul)).split(/\r\n|\r|\n/);
  const entries: Entry[] = [];
  lines.forEach((line, index) => {
    const start = skipBlanks(line, 0);
    if (line.startsWith('lxc.', start)) entries.push(parseEntry(line, start, index + 1));
  });
  return entries;
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
