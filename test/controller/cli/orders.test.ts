/** Orders that no daemon is there to take. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

test.each([
  ['apply', 'start it (systemctl start routewall), or reconcile once: routewall daemon --once'],
  ['confirm', 'start it: systemctl start routewall'],
  ['rollback', 'start it: systemctl start routewall'],
])('%s without a daemon advises what helps', async (word, advice) => {
  const { exitCode, err } = await bed.cli(word, { env: { RUNTIME_DIRECTORY: bed.folder } });
  expect(exitCode).toBe(3);
  expect(err).toBe(`routewall: no daemon runs that could do it: ${advice}\n`);
});
