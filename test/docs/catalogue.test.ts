/** README.md counts the services that have names. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { catalogue } from '../../policies/catalogue.ts';

test('README.md says how many services have names', () => {
  const [, count] = /one of (\d+) names/.exec(readFileSync('README.md', 'utf8')) ?? [];
  expect(Number(count)).toBe(catalogue.size);
});
