/** The daemon as systemd sees it: readiness, reloads, and the rules that the next boot begins with. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { nic, OPEN, startRoutewall } from '../lxc/routewall.ts';
import { NAME, startBus } from './system-bus.ts';

afterEach(cleanUp);

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
  await eventually(
    'it is written soon',
    async () => (await readFile(file, 'utf8').catch(() => '')).includes('"web0"'),
    10_000,
  );
  const after = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', 'ingress: { rules: [{ allow: tcp/4711, from: any }] }\n');
  await routewall.enforced('web', { after });
  await routewall.daemon.stop();
  expect(await readFile(file, 'utf8')).toContain('4711');
  const boot = await createNamespace('boot');
  await boot.run('nft', ['-f', file]);
  const list = async (place: typeof boot): Promise<string> => {
    const { stdout } = await place.run('nft', ['-s', 'list', 'table', 'inet', 'routewall']);
    return stdout.replace(/ # handle \d+/g, '');
  };
  expect(await list(boot)).toContain('198.51.100.10');
  expect((await list(boot)).split('\n').sort()).toEqual((await list(routewall.bed.host)).split('\n').sort());
});
