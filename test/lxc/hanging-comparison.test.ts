/** A comparison with the kernel that hangs holds up no container that starts meanwhile. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { makeTools } from '../attack/tools.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

test('enforces who starts while nft lists nothing, and mends what others changed once it does', async () => {
  const tools = await makeTools();
  const routewall = await startRoutewall({ config: 'resync: 86400\n', env: { PATH: tools.path } });
  const { host } = routewall.bed;
  const edited = async (): Promise<boolean> =>
    (await host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from'])).stdout.includes('counter packets');
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  const two = await routewall.addContainer('two', { lines: nic(addressesOf(21)), policy: OPEN });
  await tools.setNft('hanging');
  const mark = routewall.mark();
  await host.run('nft', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']);
  await routewall.start(one);
  await routewall.daemon.child().waitForLine(/comparison with the kernel is put aside/, { after: mark });
  await routewall.start(two);
  expect(await edited()).toBe(true);
  await tools.setNft('real');
  await eventually('what was inserted is gone', async () => !(await edited()), 60_000);
});
