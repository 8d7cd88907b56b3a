/** One daemon at a time; what a killed one left for a moment is no other daemon. */
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { takeLock } from '../../controller/lock.ts';
import { messageOf } from '../../controller/log.ts';

test('a holder that answers is named at once', async () => {
  const lock = await takeLock();
  const said = await takeLock().then(() => 'none', messageOf);
  lock.release();
  expect(said).toBe(`another routewall daemon serves this network namespace, as process ${process.pid}`);
});

test('one that goes without an answer is waited for', async () => {
  const left = createServer((client) => client.destroy());
  await new Promise<void>((resolve) => left.listen('\0routewall/daemon', resolve));
  const taken = takeLock();
  setTimeout(() => left.close(), 300);
  (await taken).release();
});
