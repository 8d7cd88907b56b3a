/** Orders that no daemon is there to take. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

test.each([
  // `daemon --once` takes saved files over only where autoApply isn't off, and apply is mostly asked for where it is.
  ['apply', 'start it: systemctl start routewall'],
  ['confirm', 'start it: systemctl start routewall'],
  ['rollback', 'start it: systemctl start routewall'],
])('%s without a daemon advises what helps', async (word, advice) => {
  const { exitCode, err } = await bed.cli(word, { env: { RUNTIME_DIRECTORY: bed.folder } });
  expect(exitCode).toBe(3);
  expect(err).toBe(`routewall: no daemon runs that could do it: ${advice}\n`);
});
