/** What `npm start` shows: each of its checks holds, to the empty state at the end. */
import { expect, test } from 'vitest';
import { runForResult } from '../../sandbox/run.ts';

test('the sandbox tells its story without a failed check', async () => {
  const { stdout, stderr, exitCode } = await runForResult(process.execPath, ['dist/sandbox.mjs'], { timeout: 150_000 });
  const told = `${stdout}\n${stderr}`;
  // All that it said, so that a failure tells of itself.
  expect(
    told.split('\n').filter((line) => line.includes('WRONG')),
    told,
  ).toEqual([]);
  expect(told).toContain('Every connection went as explained, and nothing is left');
  expect(exitCode).toBe(0);
});
