/** Anybody on the host can listen where a stopped container's monitor would: what such a one says gives nobody its addresses. */
import { afterEach, expect, test } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { FAKE_MONITOR, runsAs } from '../fake-monitor.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

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
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'perl', '-e', FAKE_MONITOR];
  const answers = runsAs(await mallory.pid(), veth);
  const squatter = host.spawn('setpriv', [...words, `${lxcPath}/${name}/command`, ...answers]);
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
