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

test('one that talks without an end, as anyone may who took the name, is not listened to', async () => {
  const talker = createServer((client) => {
    client.on('error', () => undefined);
    const talk = (): void => {
      while (!client.destroyed && client.write('line\n'.repeat(1_000)));
    };
    client.on('drain', talk);
    talk();
  });
  await new Promise<void>((resolve) => talker.listen('\0routewall/daemon', resolve));
  await expect(takeLock()).rejects.toThrow(/^a process that does not answer holds /);
  talker.close();
});
