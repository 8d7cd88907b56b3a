/** A file's bytes as text: size, encoding and byte order mark are settled here, before any parser sees it. */

import { lineStartsOf, type Place, placeAt } from './places.ts';
import type { Severity } from './problem.ts';

/** What a file's reading gave: its text, its bytes, or why there are none (an Error with `code`, such as EACCES). */
export type FileContent = string | Uint8Array | Error;

/** A mistake in one text; its file is added where that is known. */
export interface Finding extends Place {
  readonly message: string;
  /** An error where absent. */
  readonly severity?: Severity;
}

export type SourceText = { readonly text: string } | { readonly finding: Finding };

/** Made once, which takes longer than decoding a policy. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

const start: Place = { line: 1, column: 1 };

/**
 * Enough for thousands of rules, and little enough that no file can hold the daemon up: of a broken one, the YAML parser
 * makes a mistake of each character, for 30 s at 1 MiB (`FUZZ_LENGTH=1048576 npx vitest run test/fuzz`).
 */
export const maxStructuredBytes = 256 * 1024;
/** Plain lists of addresses parse fast and may come from a feed. */
export const maxListBytes = 16 * 1024 * 1024;

/** So many mistakes of a file are told; of 16 MiB of lines that are none, all would take gigabytes. */
export const maxFindings = 100;

export function readSourceText(content: FileContent, maxBytes: number): SourceText {
  if (content instanceof Error) return { finding: { ...start, message: unreadable(content) } };
  if (content.length > maxBytes) {
    const size = `${Math.ceil(content.length / 1024)} KiB`;
    return { finding: { ...start, message: `too large: ${size}; at most ${maxBytes / 1024} KiB are read` } };
  }
  if (typeof content === 'string') return { text: content.replace(/^\uFEFF/, '') };
  try {
    // A leading byte order mark is dropped by the decoder.
    return { text: utf8.decode(content) };
  } catch {
    const lenient = new TextDecoder('utf-8').decode(content);
    const place = placeAt(Math.max(0, lenient.indexOf('\uFFFD')), lineStartsOf(lenient));
    return { finding: { ...place, message: 'not UTF-8: save the file in that encoding' } };
  }
}

function unreadable(error: Error): string {
  if (error.name === 'Untrusted') return error.message;
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EACCES') return 'cannot be read: permission denied';
  return `cannot be read: ${error.message}`;
}

export function sameContent(a: FileContent, b: FileContent | undefined): boolean {
  if (a === b) return true;
  if (b === undefined || typeof a === 'string' || typeof b === 'string') return false;
  if (a instanceof Error || b instanceof Error) {
    return a instanceof Error && b instanceof Error && a.message === b.message;
  }
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
