/** What differs between two listings, as patch(1) would take it. */
import { createTwoFilesPatch } from 'diff';

/** Milliseconds after which the shortest difference isn't worth the wait. */
const PATIENCE = 1000;

/** From `kernel` to `desired`, both of whole lines; empty where they are the same. */
export function unifiedDiff(kernel: string, desired: string, timeout = PATIENCE): string {
  if (kernel === desired) return '';
  // To find out that all of it comes takes the library as long as any other difference of that length.
  if (kernel === '' || desired === '') return wholeDiff(kernel, desired);
  const patch = createTwoFilesPatch('kernel', 'desired', kernel, desired, undefined, undefined, {
    context: 3,
    timeout,
  });
  return patch === undefined ? wholeDiff(kernel, desired) : patch.slice(patch.indexOf('--- '));
}

/** Everything out, everything in: true, if not short. */
function wholeDiff(kernel: string, desired: string): string {
  const lines = (text: string): string[] => text.split('\n').slice(0, -1);
  const [before, after] = [lines(kernel), lines(desired)];
  const rangeOf = ({ length }: readonly string[]): string => `${Math.min(length, 1)},${length}`;
  const marked = (mark: string, list: readonly string[]): string => list.map((line) => `${mark}${line}\n`).join('');
  const head = `--- kernel\n+++ desired\n@@ -${rangeOf(before)} +${rangeOf(after)} @@\n`;
  return `${head}${marked('-', before)}${marked('+', after)}`;
}
