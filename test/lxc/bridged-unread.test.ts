/** Where a hardware address can't be asked for, it is asked for again, ever more rarely: nothing tells when it can be. */
import { afterEach, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { kill } from '../../sandbox/sweep.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { makeTools, type Tools } from '../attack/tools.ts';
import { OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Both where the process that starts commands is there and where it isn't: it has a perl of its own. */
const failInside = (tools: Tools) => tools.setPerl({ words: '*mac_inside*macs*|*starts?commands*', does: 'fail' });

test.each([
  ['LXC', (tools: Tools) => tools.setLxcInfo({ words: '*name=one?-p', does: 'kill' }), /lxc-info: .*SIGKILL/],
  ['the kernel', failInside, /veths by their namespace: .*No buffer space/],
] as const)('of %s', async (_, misbehave, why) => {
  const tools = await makeTools();
  const { daemon, ...routewall } = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: 'resync: 86400\n',
    env: { PATH: tools.path },
    prepare: async ({ host }) => createBridge(host),
  });
  const one = await routewall.addContainer('one', { lines: bridgedNic(['10.77.0.20']), policy: OPEN });
  await misbehave(tools);
  for (const pid of childrenOf(daemon.child().pid)) if (commandOf(pid).includes('starts commands')) kill(pid);
  await one.start();
  await daemon.waitForLog(new RegExp(`which veths containers have: ${why.source}.*; again in 1600 ms`), 30_000);
  const tries = daemon.log().filter((line) => line.includes('which veths containers have: ')).length;
  expect(tries).toBeLessThan(12);
  await tools.setLxcInfo();
  await tools.setPerl();
  await daemon.waitForLog(/one eth0 via .*: enforced in/, 30_000);
  await routewall.statusTells(/the kernel holds what the files say/);
});
