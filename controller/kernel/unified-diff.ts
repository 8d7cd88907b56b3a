/** What differs between two listings, as patch(1) would take it. */
import { formatPatch, structuredPatch } from 'diff';

/** Milliseconds after which the shortest difference isn't worth the wait. */
const PATIENCE = 1000;
/** Lines that are told before and behind what differs. */
const CONTEXT = 3;

/** From `kernel` to `desired`, both of whole lines; empty where they are the same. */
export function unifiedDiff(kernel: string, desired: string, timeout = PATIENCE): string {
  if (kernel === desired) return '';
  // To find out that all of it comes takes the library as long as any other difference of that length.
  if (kernel === '' || desired === '') return wholeDiff(kernel, desired);
  const common = commonLines(kernel, desired);
  const [before, after] = [kernel.slice(common.length), desired.slice(common.length)];
  const patch = structuredPatch('kernel', 'desired', before, after, undefined, undefined, {
    context: CONTEXT,
    timeout,
  });
  if (patch === undefined) return wholeDiff(kernel, desired);
  const hunks = patch.hunks.map((hunk) => ({
    ...hunk,
    oldStart: hunk.oldStart + common.lines,
    newStart: hunk.newStart + common.lines,
  }));
  const text = formatPatch({ ...patch, hunks });
  return text.slice(text.indexOf('--- '));
}

/** What both begin with, less the context: the library passes over it too, but splits it into lines first. */
function commonLines(a: string, b: string): { readonly length: number; readonly lines: number } {
  let end = 0;
  while (end < a.length && a.charCodeAt(end) === b.charCodeAt(end)) end += 1;
  let length = lineAt(a, end);
  for (let line = 0; line < CONTEXT; line += 1) length = lineAt(a, length - 1);
  let lines = 0;
  for (let at = a.indexOf('\n'); at >= 0 && at < length; at = a.indexOf('\n', at + 1)) lines += 1;
  return { length, lines };
}

/** Where the line begins in which that letter stands, or the first one. */
const lineAt = (text: string, letter: number): number => (letter <= 0 ? 0 : text.lastIndexOf('\n', letter - 1) + 1);

/** Everything out, everything in: true, if not short. */
function wholeDiff(kernel: string, desired: string): string {
  const lines = (text: string): string[] => text.split('\n').slice(0, -1);
  const [before, after] = [lines(kernel), lines(desired)];
  const rangeOf = ({ length }: readonly string[]): string => `${Math.min(length, 1)},${length}`;
  const marked = (mark: string, list: readonly string[]): string => list.map((line) => `${mark}${line}\n`).join('');
  const head = `--- kernel\n+++ desired\n@@ -${rangeOf(before)} +${rangeOf(after)} @@\n`;
  return `${head}${marked('-', before)}${marked('+', after)}`;
}
