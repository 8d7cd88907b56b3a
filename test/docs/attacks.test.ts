/** Each attack of docs/attacks.md is made by a test that is there. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hasTest } from './named-tests.ts';

const rows = [...readFileSync('docs/attacks.md', 'utf8').matchAll(/^\| (.*) \|$/gm)]
  .map(([, line = '']) => line.split('|').map((cell) => cell.trim()))
  .filter(([attack]) => attack !== 'attack');
const named = rows.map(([, , file = '', name = '']) => ({ file: file.replaceAll('`', ''), name }));

test('every row names a file and a test', () => {
  expect(rows.length).toBeGreaterThan(60);
  expect(rows.filter((cells) => cells.length !== 4)).toEqual([]);
});

test.each(named)('$file has "$name"', ({ file, name }) => {
  expect(hasTest(file, name)).toBe(true);
});

const PACKETS = ['test/lxc/attacks.ts', 'test/lxc/odd-packets.ts'];
const POLICIES = [
  'come out nowhere, when the default is to reject',
  'come out nowhere, when the default is to drop',
  'come out nowhere of those that no policy can allow, when the policy allows everything',
  'all come through where nothing stands in their way',
];

test('packets are sent under each policy, and once without any', () => {
  expect(named.some(({ file }) => PACKETS.includes(file))).toBe(true);
  expect(POLICIES.filter((name) => !hasTest('test/lxc/lockdown.test.ts', name))).toEqual([]);
});
