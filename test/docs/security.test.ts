/** Each promise of docs/security.md names tests that hold it, and they are there. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hasTest } from './named-tests.ts';

const text = readFileSync('docs/security.md', 'utf8');
const section = (title: string): string => text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
const promises = [...section('What is promised').matchAll(/^(\d+)\. /gm)].map(([, number]) => number ?? '');
const held = [...section('The tests that hold it').matchAll(/^\| (\d+) \| `(\S+)` \| (.+) \|$/gm)].map(
  ([, promise = '', file = '', name = '']) => ({ promise, file, name }),
);

test('every promise is held by a test, and every row holds a promise', () => {
  expect(promises.length).toBeGreaterThan(10);
  expect(promises).toEqual(promises.map((_, index) => String(index + 1)));
  expect([...new Set(held.map(({ promise }) => promise))].sort()).toEqual([...promises].sort());
});

test.each(held)('$promise: $file has "$name"', ({ file, name }) => {
  expect(hasTest(file, name)).toBe(true);
});
