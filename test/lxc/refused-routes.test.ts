/** What the kernel refuses for a while is had once it is taken, though nothing tells of that. */
import { afterEach, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

test('a gateway address and a route', async () => {
  const routewall = await startRoutewall({ config: 'resync: 86400\n' });
  const { host } = routewall.bed;
  const ipv6 = (of: string, off: number) => setSysctls(host, { [`net/ipv6/conf/${of}/disable_ipv6`]: String(off) });
  await ipv6('default', 1);
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  await routewall.start(one);
  await routewall.statusTells(/one: ip .*(IPv6|ermission)/);
  // Of which no event tells.
  await ipv6(await one.hostVeth(), 0);
  await routewall.statusTells(/the kernel holds what the files say/);
  await eventually('all is well', async () => (await routewall.cli('status')).exitCode === 0);
});
