/**
 * LXC's monitor crashes, as LXC 5.0.2's did on a machine with Linux 6.1 at `lxc-stop -k`, and tells nobody; and the container's network
 * lives on without it, as it did there for a connection that couldn't be ended. Here somebody's process holds it.
 */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [ADDRESS] = addressesOf(30);
const TARGET = { protocol: 'tcp', to: ADDRESS, port: 80, timeout: 2_000 } as const;

test('started again it has its new veth, whatever is left of the old one', async () => {
  const routewall = await startRoutewall();
  const { host, outside } = routewall.bed;
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(30)), policy: OPEN });
  await routewall.start(web);
  const [veth, pid] = [await web.hostVeth(), await web.pid()];
  const holder = host.spawn('nsenter', ['-t', String(pid), '-n', 'sh', '-c', 'echo holds; exec sleep 600']);
  await holder.waitForLine(/^holds$/);
  await web.killMonitor();
  await web.endOrphan();
  await eventually('it has ended', async () => (await web.state()) === 'STOPPED');
  const links = async () => (await host.run('ip', ['-o', 'link'])).stdout;
  expect(await links()).toContain(` ${veth}@`);

  await routewall.start(web);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
  expect(await probe(outside, TARGET)).toBe('allowed');
  expect(await links()).toContain(` ${veth}@`);
  expect((await host.run('nft', ['list', 'table', 'inet', 'routewall'])).stdout).not.toContain(`"${veth}"`);
});
