import { applyPatch, createTwoFilesPatch } from 'diff';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { unifiedDiff } from '../../../controller/kernel/unified-diff.ts';

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
const listing = fc.array(fc.constantFrom('', 'a', 'b', '-', '+++ x', '@@ y')).map(textOf);

it('leads from one to the other, and is empty where they are the same', () => {
  fc.assert(
    fc.property(listing, listing, (kernel, desired) => {
      const diff = unifiedDiff(kernel, desired);
      expect(diff === '').toBe(kernel === desired);
      expect(applyPatch(kernel, diff)).toBe(desired);
    }),
  );
});

it('is what the library says, whatever both begin with', () => {
  fc.assert(
    fc.property(listing, listing, listing, (start, one, other) => {
      const [kernel, desired] = [`${start}${one}`, `${start}${other}`];
      fc.pre(kernel !== '' && desired !== '' && kernel !== desired);
      const patch = createTwoFilesPatch('kernel', 'desired', kernel, desired, undefined, undefined, { context: 3 });
      expect(unifiedDiff(kernel, desired)).toBe(patch.slice(patch.indexOf('--- ')));
    }),
    { numRuns: 1_000 },
  );
});

it('passes over what both begin with sooner than the library', () => {
  const start = textOf(Array.from({ length: 300_000 }, (_, at) => `${at}`));
  const timed = (work: () => unknown): number => {
    const begun = performance.now();
    work();
    return performance.now() - begun;
  };
  const [kernel, desired] = [`${start}a\n`, `${start}b\n`];
  const own = timed(() => expect(unifiedDiff(kernel, desired)).toMatch(/\n@@ -299998,4 \+299998,4 @@\n 299997\n/));
  expect(own).toBeLessThan(timed(() => createTwoFilesPatch('kernel', 'desired', kernel, desired)) / 2);
});

it('is true, if not short, where the shortest is not found in time', () => {
  const [kernel, desired] = ['a', 'b'].map((letter) =>
    textOf(Array.from({ length: 3000 }, (_, at) => `${letter}${at}`)),
  );
  const diff = unifiedDiff(kernel ?? '', desired ?? '', 0);
  expect(diff).toContain('@@ -1,3000 +1,3000 @@\n-a0\n');
  expect(applyPatch(kernel ?? '', diff)).toBe(desired);
});

it.each(['', 'a\nb\nc\n'])('is of all lines where the other is empty: %j', (text) => {
  expect(unifiedDiff('', text)).toBe(text && '--- kernel\n+++ desired\n@@ -0,0 +1,3 @@\n+a\n+b\n+c\n');
  expect(unifiedDiff(text, '')).toBe(text && '--- kernel\n+++ desired\n@@ -1,3 +0,0 @@\n-a\n-b\n-c\n');
});
