/** What the watcher believes of the host's other services, played on a private bus. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createHostEventBus, type Watcher } from '../../watchers/events.ts';
import { unitAt, watchHostBus } from '../../watchers/host-bus.ts';
import { joinBus, leaveBus } from './bus-program.ts';
import { startBus, type TestBus } from './system-bus.ts';

const FIREWALLD = 'org.fedoraproject.FirewallD1';
const SYSTEMD = 'org.freedesktop.systemd1';
const LOGIND = 'org.freedesktop.login1';

let watcher: Watcher | undefined;

afterEach(async () => {
  await watcher?.stop();
  leaveBus();
  await cleanUp();
});

/** Everything that it tells, as words. */
async function watch(bus: TestBus): Promise<string[]> {
  const events = createHostEventBus();
  const told: string[] = [];
  events.on('firewallReloaded', ({ by }) => void told.push(`reloaded ${by}`));
  events.on('containerUnitChanged', ({ unit }) => void told.push(`unit ${unit}`));
  events.on('shutdownPrepared', ({ begins }) => void told.push(`shutdown ${begins}`));
  events.on('synced', ({ source }) => void told.push(`synced ${source}`));
  events.on('watcherFailed', ({ source }) => void told.push(`failed ${source}`));
  watcher = watchHostBus(events, { address: bus.address, backoff: { firstMs: 20, maxMs: 40 } });
  await watcher.start();
  return told;
}

const until = (told: readonly string[], last: string) => eventually(last, () => told.at(-1) === last);

test('tells what firewalld, systemd and logind say, and nothing of other units', async () => {
  const bus = await startBus();
  const [firewalld, systemd, logind] = [
    await joinBus(bus, FIREWALLD),
    await joinBus(bus, SYSTEMD),
    await joinBus(bus, LOGIND),
  ];
  const told = await watch(bus);
  await until(told, 'synced host-bus');
  expect(systemd.asked).toEqual([`${SYSTEMD}.Manager.Subscribe`]);
  firewalld.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  await until(told, 'reloaded firewalld');
  const manager = '/org/freedesktop/systemd1';
  systemd.signal(manager, `${SYSTEMD}.Manager`, 'JobRemoved', 'uoss', [1, `${manager}/job/1`, 'cron.service', 'done']);
  systemd.signal(manager, `${SYSTEMD}.Manager`, 'JobRemoved', 'uoss', [
    2,
    `${manager}/job/2`,
    'lxc@web.service',
    'done',
  ]);
  await until(told, 'unit lxc@web.service');
  systemd.signal(manager, `${SYSTEMD}.Manager`, 'UnitRemoved', 'so', ['lxc@db.service', `${manager}/unit/x`]);
  await until(told, 'unit lxc@db.service');
  const unit = `${manager}/unit/lxc_40killed_2eservice`;
  const changed = [`${SYSTEMD}.Unit`, {}, []];
  systemd.signal(unit, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', changed);
  await until(told, 'unit lxc@killed.service');
  logind.signal('/org/freedesktop/login1', `${LOGIND}.Manager`, 'PrepareForShutdown', 'b', [true]);
  await until(told, 'shutdown true');
  expect(told.filter((word) => word.includes('cron'))).toEqual([]);
});

test('believes only who has the name, also when it changes hands', async () => {
  const bus = await startBus();
  const told = await watch(bus);
  await until(told, 'synced host-bus');
  const stranger = await joinBus(bus);
  stranger.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  const first = await joinBus(bus, FIREWALLD);
  first.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  await until(told, 'reloaded firewalld');
  first.quit();
  const second = await eventually('the name is free', async () => await joinBus(bus, FIREWALLD));
  stranger.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  second.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  await eventually('the new one is believed', () => told.length === 3);
  expect(told).toEqual(['synced host-bus', 'reloaded firewalld', 'reloaded firewalld']);
});

test('says once that the bus is away, and listens again when it is back', async () => {
  const bus = await startBus();
  const told = await watch(bus);
  await until(told, 'synced host-bus');
  await bus.stop();
  await until(told, 'failed host-bus');
  await bus.start();
  await until(told, 'synced host-bus');
  expect(told).toEqual(['synced host-bus', 'failed host-bus', 'synced host-bus']);
  const firewalld = await joinBus(bus, FIREWALLD);
  firewalld.signal('/org/fedoraproject/FirewallD1', FIREWALLD, 'Reloaded');
  await until(told, 'reloaded firewalld');
});

test.each([
  ['/org/freedesktop/systemd1/unit/lxc_40web_2d1_2eservice', 'lxc@web-1.service'],
  ['/org/freedesktop/systemd1/unit/lxc_40w_c3_bc_2eservice', 'lxc@wü.service'],
  ['/org/freedesktop/systemd1/job/1', undefined],
])('reads the unit at %s', (path, unit) => expect(unitAt(path)).toBe(unit));
