/** Anybody on the host can take the name by which a second daemon is noticed: that keeps none from starting. */
import { afterEach, expect, test } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Its argument: what it does once it has the name, as perl. */
const SQUATTER = String.raw`
$| = 1;
my $address = pack 'S a*', 1, "\0routewall/daemon";
my ($held, $other);
socket($held, 1, 1, 0) && bind($held, $address) or die "$!\n";
eval "$ARGV[0]; 1" or die $@;
print "squats\n";
accept(my $client, $held) ? syswrite $client, "process 1" : sleep 1 while 1;
`;

async function squat({ bed }: Routewall, uid: number, act: string): Promise<Child> {
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'perl', '-e', SQUATTER, act];
  const squatter = bed.host.spawn('setpriv', words);
  await squatter.waitForLine(/^squats$/);
  return squatter;
}

const routesOf = async ({ bed }: Routewall): Promise<string> =>
  (await bed.host.run('ip', ['route', 'show', 'proto', '119'])).stdout;

/** One that waits, and nobody takes it. */
const FULL =
  'listen $held, 0; socket($other, 1, 1 | 2048, 0) && connect($other, $address) or die $!; print "squats\\n"; sleep 1000';

test.each([
  ['answers as a daemon would', 'listen $held, 20'],
  ['does not even listen', ''],
  ['has its queue full', FULL],
])('a user who %s keeps no daemon from starting, and a second one is noticed all the same', async (_, act) => {
  const routewall = await startRoutewall();
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(10)), policy: OPEN });
  await routewall.daemon.stop('SIGKILL');
  const sealed = await routewall.cli('panic', 'on');
  expect(sealed).toMatchObject({ exitCode: 0 });
  await squat(routewall, 65534, act);
  expect(await routewall.cli('panic', 'off')).toMatchObject({ exitCode: 0 });
  await routewall.daemon.restart();
  expect(routewall.daemon.log().join('\n')).toContain('user 65534 holds the name');
  await routewall.start(web);
  expect(await routesOf(routewall)).toContain('198.51.100.10 ');
  const second = await routewall.cli('daemon', '--once');
  expect(second).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('another routewall daemon serves /') });
});

test('what root holds without an answer is told', async () => {
  const routewall = await startRoutewall();
  await routewall.daemon.stop('SIGKILL');
  await squat(routewall, 0, FULL);
  const { exitCode, stderr } = await routewall.cli('daemon', '--once');
  expect([exitCode, stderr]).toEqual([3, expect.stringContaining('does not answer')]);
});
