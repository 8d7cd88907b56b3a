/** What systemd would hear, by a real socket. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type StartResident, startResident } from '../../controller/commands/run.ts';
import { openServiceManager, type ServiceManager } from '../../controller/service-manager.ts';
import { type Child, startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';

let manager: ServiceManager | undefined;

afterEach(async () => {
  manager?.stop();
  await cleanUp();
});

/** Prints each datagram on a line, its own lines joined by a bar. */
const RECEIVER = `
$| = 1; my $name = shift; $name =~ s/^@/\\0/;
socket(my $s, 1, 2, 0); bind($s, pack('Sa*', 1, $name)) or die "bind: $!"; print "bound\\n";
while (defined recv($s, my $text, 4096, 0)) { $text =~ s/\\n/|/g; print "$text\\n" }
`;

async function listenOn(socket: string): Promise<Child> {
  const receiver = startChild('perl', ['-e', RECEIVER, socket]);
  await receiver.waitForLine(/^bound$/);
  return receiver;
}

const complaints: string[] = [];
const open = (env: Record<string, string>): ServiceManager => {
  manager = openServiceManager(env, startResident, (_, message) => void complaints.push(message));
  return manager;
};

test.each(['file', 'abstract'])('tells the whole life of a service, to a socket with %s name', async (kind) => {
  const socket = kind === 'file' ? join(await makeFolder(), 'notify') : `@routewall-test-${process.pid}`;
  const receiver = await listenOn(socket);
  const service = open({ NOTIFY_SOCKET: socket });
  service.ready('3 containers\nenforced');
  service.status('4 containers');
  service.status('4 containers');
  service.reloading();
  service.ready('5 containers');
  service.stopping();
  await receiver.waitForLine(/STOPPING/);
  expect(receiver.lines.slice(1)).toEqual([
    'READY=1|STATUS=3 containers; enforced',
    'STATUS=4 containers',
    'RELOADING=1',
    'READY=1|STATUS=5 containers',
    'STOPPING=1',
  ]);
  expect(complaints).toEqual([]);
});

test('feeds the watchdog while there is life, and starves it when there is none', async () => {
  const socket = join(await makeFolder(), 'notify');
  const receiver = await listenOn(socket);
  const service = open({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '60000', WATCHDOG_PID: String(process.pid) });
  let asked = 0;
  service.feedWatchdog((periodMs) => {
    expect(periodMs).toBe(60);
    asked += 1;
    return asked <= 3;
  });
  await receiver.waitForLine(/WATCHDOG=1/);
  await expect.poll(() => asked).toBeGreaterThan(6);
  service.stopping();
  await receiver.waitForLine(/STOPPING/);
  expect(receiver.lines.filter((line) => line === 'WATCHDOG=1')).toHaveLength(3);
});

test('feeds nobody else’s watchdog', async () => {
  const socket = join(await makeFolder(), 'notify');
  await listenOn(socket);
  const service = open({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' });
  service.feedWatchdog(() => expect.unreachable());
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test('does nothing where nobody listens', () => {
  const service = openServiceManager(
    {},
    () => expect.unreachable('no child'),
    () => expect.unreachable('no complaint'),
  );
  service.ready('ready');
  service.status('status');
  service.reloading();
  service.feedWatchdog(() => expect.unreachable());
  service.stopping();
  service.stop();
});

test('tells again what was lost with the child that was to tell it', async () => {
  const socket = join(await makeFolder(), 'notify');
  const receiver = await listenOn(socket);
  let children = 0;
  const start: StartResident = (command, args) => startResident(children++ === 0 ? 'false' : command, args);
  manager = openServiceManager({ NOTIFY_SOCKET: socket }, start, (_, message) => void complaints.push(message));
  manager.ready('3 containers');
  await receiver.waitForLine(/READY=1\|STATUS=3 containers/);
  expect(complaints.splice(0)).toEqual([expect.stringContaining('service manager: false: ')]);
});
