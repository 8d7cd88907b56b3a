/** Anybody on the host can listen where a stopped container's monitor would: what such a one says gives nobody its addresses. */
import { afterEach, expect, test } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** LXC's answers to get_state (3), get_init_pid (4) and get_config_item (7): it runs, as that process, with that veth. */
const MONITOR = String.raw`
my ($name, $pid, $veth) = @ARGV;
$| = 1;
$SIG{PIPE} = 'IGNORE';
socket(my $listener, 1, 1, 0) or die "$!\n";
bind($listener, pack 'S a*', 1, "\0$name") or die "$!\n";
listen($listener, 20) or die "$!\n";
print "listens\n";
while (accept my $s, $listener) {
  sysread $s, my $request, 16;
  my ($command, $length) = unpack 'ii', $request;
  sysread $s, my $item, $length if $length;
  my %said = ("lxc.net.0.type\0" => "veth\0", "lxc.net.0.veth.pair\0" => "$veth\0");
  my $text = $command == 7 ? $said{$item} : '';
  my $error = $command == 7 && !defined $text ? -1 : 0;
  syswrite $s, pack('iiq', $error, length($text // ''), $command == 3 ? 2 : $command == 4 ? $pid : 0) . ($text // '');
}
`;

interface Squatted {
  readonly routewall: Routewall;
  readonly victim: Container;
  /** Of the container that is to get the other's addresses. */
  readonly veth: string;
  readonly squatter: Child;
}

const routesOf = async ({ bed }: Routewall): Promise<string> =>
  (await bed.host.run('ip', ['route', 'show', 'proto', '119'])).stdout;

/** A daemon that began, and so asked about all that seems to run, while `uid` listened for the stopped container. */
async function squat(name: string, uid: number): Promise<Squatted> {
  const routewall = await startRoutewall({ config: 'resync: 86400\n' });
  const { host, lxcPath } = routewall.bed;
  const victim = await routewall.addContainer(name, { lines: nic(addressesOf(20)), policy: OPEN });
  const mallory = await routewall.addContainer('mallory', { lines: nic(addressesOf(30)), policy: OPEN });
  await routewall.start(mallory);
  const veth = /^198\.51\.100\.30 dev (\S+)/m.exec(await routesOf(routewall))?.[1] ?? expect.unreachable();
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'perl', '-e', MONITOR];
  const squatter = host.spawn('setpriv', [...words, `${lxcPath}/${name}/command`, String(await mallory.pid()), veth]);
  await squatter.waitForLine(/^listens$/);
  await routewall.daemon.restart();
  return { routewall, victim, veth, squatter };
}

test('what root says in its place is believed', async () => {
  const { routewall, veth } = await squat('alpha', 0);
  expect(await routesOf(routewall)).toContain(`198.51.100.20 dev ${veth}`);
});

// By their names, the one or the other would come first.
test.each(['alpha', 'web'])('another container gets none of them, and %s itself does once it starts', async (name) => {
  const { routewall, victim, veth, squatter } = await squat(name, 65534);
  const routes = await routesOf(routewall);
  expect(routes).toContain(`198.51.100.30 dev ${veth}`);
  expect(routes).not.toContain('198.51.100.20 ');
  await squatter.stop();
  await routewall.start(victim);
  await eventually('it is reached', async () => (await routesOf(routewall)).includes('198.51.100.20 '));
});
