/** The daemon as systemd sees it: readiness, reloads, and the rules that the next boot begins with. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { withoutFilled } from '../../sandbox/nft-listing.ts';
import { nic, OPEN, startRoutewall } from '../lxc/routewall.ts';
import { joinBus, leaveBus } from './bus-program.ts';
import { NAME, startBus } from './system-bus.ts';

afterEach(async () => {
  leaveBus();
  await cleanUp();
});

const RECEIVER = `
$| = 1; socket(my $s, 1, 2, 0); bind($s, pack('Sa*', 1, shift)) or die "bind: $!"; print "bound\\n";
while (defined recv($s, my $text, 4096, 0)) { $text =~ s/\\n/|/g; print "$text\\n" }
`;

test('is ready when its name is, reloads by SIGHUP, feeds the watchdog and says goodbye', async () => {
  const bus = await startBus();
  const socket = join(await makeFolder(), 'notify');
  const systemd = startChild('perl', ['-e', RECEIVER, socket]);
  await systemd.waitForLine(/^bound$/);
  const watchdog = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' };
  const routewall = await startRoutewall({ env: { ...bus.env, ...watchdog } });
  await systemd.waitForLine(/^READY=1\|STATUS=0 of 0 containers enforced; no problems$/);
  expect((await bus.run(['busctl', 'list', '--acquired'])).stdout).toContain(NAME);
  await systemd.waitForLine(/^WATCHDOG=1$/);
  const container = await routewall.addContainer('web', { policy: OPEN, lines: nic(['198.51.100.10']) });
  await routewall.start(container);
  await systemd.waitForLine(/^STATUS=1 of 1 containers enforced; no problems$/);
  const after = systemd.lines.length;
  routewall.daemon.child().signal('SIGHUP');
  await systemd.waitForLine(/^RELOADING=1$/, { after });
  await systemd.waitForLine(/^READY=1\|STATUS=1 of 1/, { after });
  await routewall.daemon.stop();
  await systemd.waitForLine(/^STOPPING=1$/, { after });
});

test('keeps the ruleset for the next boot, which a bare nft loads', async () => {
  const routewall = await startRoutewall();
  const file = join(routewall.env['STATE_DIRECTORY'] ?? '', 'last-good.nft');
  const container = await routewall.addContainer('web', {
    policy: OPEN,
    lines: nic(['198.51.100.10'], { extra: ['veth.pair = web0'] }),
  });
  await routewall.start(container);
  await eventually('it is written soon', async () => (await readFile(file, 'utf8').catch(() => '')).includes('"web0"'));
  const after = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', 'ingress: { rules: [{ allow: tcp/4711, from: any }] }\n');
  await routewall.enforced('web', { after });
  await routewall.daemon.stop();
  expect(await readFile(file, 'utf8')).toContain('4711');
  const boot = await createNamespace('boot');
  await boot.run('nft', ['-f', file]);
  const list = async (place: typeof boot): Promise<string> => {
    const { stdout } = await place.run('nft', ['-s', 'list', 'table', 'inet', 'routewall']);
    return withoutFilled(stdout.replace(/ # handle \d+/g, ''));
  };
  expect(await list(boot)).toContain('198.51.100.10');
  expect((await list(boot)).split('\n').sort()).toEqual((await list(routewall.bed.host)).split('\n').sort());
});

test('keeps for the next boot the rules of what ran when logind said that the host goes down', async () => {
  const bus = await startBus();
  const logind = await joinBus(bus, 'org.freedesktop.login1');
  const routewall = await startRoutewall({ env: bus.env });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  const say = (begins: boolean) =>
    logind.signal('/org/freedesktop/login1', 'org.freedesktop.login1.Manager', 'PrepareForShutdown', 'b', [begins]);
  const file = join(routewall.env['STATE_DIRECTORY'] ?? '', 'last-good.nft');
  const container = await routewall.addContainer('web', {
    policy: OPEN,
    lines: nic(['198.51.100.10'], { extra: ['veth.pair = web0'] }),
  });
  await routewall.start(container);
  say(true);
  await routewall.daemon.waitForLog(/the host is going down/);
  await routewall.stop(container);
  await routewall.daemon.stop();
  expect(await readFile(file, 'utf8')).toContain('"web0" . 198.51.100.10');

  await routewall.daemon.restart();
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  await routewall.start(container);
  say(true);
  say(false);
  await routewall.daemon.waitForLog(/the host stays up/);
  await routewall.stop(container);
  await routewall.daemon.stop();
  expect(await readFile(file, 'utf8')).not.toContain('198.51.100.10');
});

test('compares with the kernel at once when firewalld says that it has written its rules anew', async () => {
  const bus = await startBus();
  const firewalld = await joinBus(bus, 'org.fedoraproject.FirewallD1');
  const routewall = await startRoutewall({ env: bus.env });
  const { bed, daemon } = routewall;
  await daemon.waitForLog(/D-Bus: serving/);
  const list = async () => (await bed.host.runForResult('nft', ['list', 'table', 'inet', 'routewall'])).exitCode;
  // Deaf to commits, so that it must be this word which it acts upon.
  const { stdout } = await bed.host.run('pgrep', ['-P', String(daemon.child().pid), '-f', 'nft -n monitor']);
  await bed.host.run('kill', ['-STOP', stdout.trim()]);
  await bed.host.run('nft', ['flush', 'ruleset']);
  expect(await list()).not.toBe(0);
  firewalld.signal('/org/fedoraproject/FirewallD1', 'org.fedoraproject.FirewallD1', 'Reloaded');
  await eventually('the rules are back', async () => (await list()) === 0);
});
