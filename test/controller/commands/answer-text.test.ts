/** A tool that prints garbage costs neither memory nor time: what is counted here is work, never a clock. */
import { expect, it } from 'vitest';
import { openAnswerText } from '../../../controller/commands/answer-text.ts';

const WORD = 'routewall-done-7';
const NFT = new RegExp(`[^\\n]*Error: [^\\n]*\\n${WORD}\\n[ ~^]*\\^[ ~^]*\\n`);
const COMPLAINT = `<cmdline>:1:17-17: Error: syntax error, unexpected newline\n${WORD}\n                ^\n`;

/** Counts the letters that a pattern is tried on. */
function counting(pattern: RegExp) {
  const tried: number[] = [];
  const spy = new RegExp(pattern);
  spy.exec = (text) => {
    tried.push(text.length);
    return pattern.exec(text);
  };
  return { spy, tried };
}

const pieces = (text: string, size: number): string[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size));

it.each([1, 7, 100, 65_536])(
  'finds the complaint in pieces of %i letters, behind what was said about the text',
  (size) => {
    const said = 'transaction.nft:2:1-3: Error: No such file\nadd rule x\n^^^\n'.repeat(300);
    const answer = openAnswerText(WORD, NFT);
    const found = pieces(`${said}${COMPLAINT}`, size).map((piece) => answer.add(piece));
    expect(found.slice(0, -1).every((one) => one === undefined)).toBe(true);
    expect(found.at(-1)).toMatchObject({ output: said.trim(), isCut: false });
  },
);

it('tries no pattern on garbage, and a short one around the word', () => {
  const { spy, tried } = counting(NFT);
  const answer = openAnswerText(WORD, spy);
  for (let count = 0; count < 200; count += 1) answer.add('Error: '.repeat(5_000));
  expect(tried).toEqual([]);
  expect(answer.add(COMPLAINT)?.complaint[0]).toContain(WORD);
  expect(tried).toHaveLength(1);
  expect(tried[0]).toBeLessThan(10_000);
});

it('keeps the beginning of what is long, and says that there was more', () => {
  const answer = openAnswerText(WORD, NFT);
  answer.add('first\n');
  for (let count = 0; count < 100; count += 1) answer.add('x'.repeat(100_000));
  const found = answer.add(`\n${COMPLAINT}`);
  expect(found?.isCut).toBe(true);
  expect(found?.output.startsWith('first\nxxx')).toBe(true);
  expect(found?.output.length).toBe(4 * 1024 * 1024);
});

it('gives a tool up that never stops', () => {
  const answer = openAnswerText(WORD, NFT);
  const garbage = 'x'.repeat(1_000_000);
  expect(() => {
    for (let count = 0; count < 100; count += 1) answer.add(garbage);
  }).toThrow('more than 64 MiB of output');
});

it('waits for the end of a complaint whose word has come', () => {
  const answer = openAnswerText(WORD, NFT);
  const [head, tail] = [COMPLAINT.slice(0, -3), COMPLAINT.slice(-3)];
  expect(answer.add(head)).toBeUndefined();
  expect(answer.add(tail)).toMatchObject({ output: '', isCut: false });
});
