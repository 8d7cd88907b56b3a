/** Where a hardware address can't be asked for, it is asked for again, ever more rarely: nothing tells when it can be. */
import { afterEach, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { makeTools } from '../attack/tools.ts';
import { ASKS_MONITOR, misbehave } from './perl-programs.ts';
import { OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

test.each([
  ['LXC', { words: ASKS_MONITOR, does: 'kill' }, /perl: .*SIGKILL/],
  ['the kernel', { words: '*mac_inside*macs*', does: 'fail' }, /veths by their namespace: .*No buffer space/],
] as const)('of %s', async (_, mode, why) => {
  const tools = await makeTools();
  const { daemon, ...routewall } = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: 'resync: 86400\n',
    env: { PATH: tools.path },
    prepare: async ({ host }) => createBridge(host),
  });
  const one = await routewall.addContainer('one', { lines: bridgedNic(['10.77.0.20']), policy: OPEN });
  await misbehave(tools, daemon, mode);
  await one.start();
  await daemon.waitForLog(new RegExp(`which veths containers have: ${why.source}.*; again in 1600 ms`), 30_000);
  const tries = daemon.log().filter((line) => line.includes('which veths containers have: ')).length;
  expect(tries).toBeLessThan(12);
  await tools.setPerl();
  await daemon.waitForLog(/one eth0 via .*: enforced in/, 30_000);
  await routewall.statusTells(/the kernel holds what the files say/);
});
