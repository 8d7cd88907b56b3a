/** A log that nobody reads, as where the journal is stopped, keeps the daemon neither from its work nor from its end. */
import { afterEach, expect, test } from 'vitest';
import { readStatusFile } from '../../controller/status/status-file.ts';
import { atEnd, cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { kill } from '../../sandbox/sweep.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** More than a pipe holds. */
const WRONG = Object.fromEntries(
  Array.from({ length: 800 }, (_, at) => [`profiles/${'wrong'.repeat(20)}${at}.yaml`, 'egress: x\n']),
);

test('it enforces, and ends', async () => {
  const routewall = await startRoutewall({ policies: WRONG });
  const { bed, daemon, env } = routewall;
  await daemon.stop();
  const unread = bed.host.spawn(
    'bash',
    ['-c', 'exec "$@" 2> >(exec sleep 300)', 'bash', ...routewall.command(['daemon'])],
    {
      env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent', ...env },
    },
  );
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  await one.start();
  await eventually('it is enforced', async () => {
    const status = await readStatusFile(env['RUNTIME_DIRECTORY'] ?? '');
    return status?.pid === unread.pid && status.containers.some(({ nics }) => nics.length > 0);
  });
  const readers = childrenOf(unread.pid).filter((pid) => commandOf(pid).startsWith('sleep'));
  atEnd('end who does not read', async () => {
    for (const pid of readers) kill(pid);
  });
  unread.signal('SIGTERM');
  const ended = await Promise.race([
    unread.exited,
    new Promise((resolve) => setTimeout(resolve, 10_000, 'it goes on')),
  ]);
  expect(ended).toEqual({ exitCode: 0, signal: undefined });
});
