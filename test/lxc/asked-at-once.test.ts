/** A container's monitor answers root, though it lets each know who he is only once it has accepted him. */
import { afterEach, expect, test } from 'vitest';
import type { Run } from '../../controller/commands/run.ts';
import { askMonitor } from '../../controller/host/monitor.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

test('however many ask at once', async () => {
  const routewall = await startRoutewall();
  const { host, lxcPath } = routewall.bed;
  const lines = nic(addressesOf(10), { extra: ['veth.pair = vethweb'] });
  const web = await routewall.addContainer('web', { lines, policy: OPEN });
  await routewall.start(web);
  const answer = { state: 'RUNNING', pid: await web.pid(), links: ['vethweb'] };
  // Which leaves out the last line's end.
  const run: Run = async (command, args) => {
    const { stdout } = await host.run(command, args);
    return { stdout: `${stdout}\n`, stderr: '', exitCode: 0 };
  };
  const ask = () => askMonitor(run, { lxcPath, name: 'web' });
  for (let round = 0; round < 25; round += 1)
    expect(await Promise.all(Array.from({ length: 12 }, ask))).toEqual(Array(12).fill(answer));
});
