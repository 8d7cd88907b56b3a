/** No text is nested so deeply that it overflows the stack of who reads it. */
import { describe, expect, test } from 'vitest';
import { isNestedTooDeeply } from '../../policies/nesting.ts';
import { parseYaml } from '../../policies/parse-yaml.ts';

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');
const stairs = lines(40, (step) => `${' '.repeat(step * 180)}${'- '.repeat(90)}`);

describe('nesting', () => {
  test.each([
    ['flow lists', '['.repeat(20_000)],
    ['flow mappings', '{a: '.repeat(20_000)],
    ['lists in one line', '- '.repeat(20_000)],
    ['complex keys', '? '.repeat(20_000)],
    ['blocks', lines(300, (depth) => `${' '.repeat(depth)}a:`)],
    ['lists in lines below each other', stairs],
    ['flow lists behind what only looks like a comment', `[" #", ${'['.repeat(20_000)}`],
    ['JSON', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ])('%s too deep are refused before they are read', (_, text) => {
    expect(isNestedTooDeeply(text)).toBe(true);
    for (const format of ['yaml', 'json'] as const)
      expect(parseYaml(text, format).findings).toMatchObject([{ message: 'nested too deeply to be a policy' }]);
  });

  test.each([
    ['many lines side by side', lines(5_000, (index) => `- to: [a, {b: ${index}}]`)],
    ['many lists side by side', '[]'.repeat(5_000)],
    ['a comment of brackets', `# ${'['.repeat(200)}\na: 1`],
    ['a hundred of them', '['.repeat(100)],
  ])('%s are read', (_, text) => {
    expect(isNestedTooDeeply(text)).toBe(false);
  });
});
