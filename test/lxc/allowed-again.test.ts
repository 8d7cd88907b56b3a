/** What a policy allows again goes on from the moment that the rules let it, whatever the rest of the pass waits for. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { makeTools } from '../attack/tools.ts';
import { startTraffic } from '../attack/traffic.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const STREAM = 'egress: { rules: [{ allow: udp/7777, to: any }] }\n';

it('though its flow was cut a moment ago, and what an answer to that begins is still looked for', async () => {
  const tools = await makeTools();
  const routewall = await startRoutewall({ env: { PATH: tools.path } });
  const { host, outside } = routewall.bed;
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(20)), policy: STREAM });
  await routewall.start(web);
  const traffic = await startTraffic({ inside: await web.inside(), outside, host, to: INTERNET });
  await traffic.flows();
  const goesOn = traffic.excuse('it was forbidden', 'lost');
  let mark = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', '{}\n');
  await routewall.daemon.child().waitForLine(/web: 1 connection cut/, { after: mark });
  // The pass is over a second after its rules are there.
  await tools.setTc({ words: '-force*', does: 'wait' });
  mark = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', `${STREAM}limits: { egress: 20Mbit }\n`);
  const allows = async () => (await host.run('nft', ['list', 'table', 'inet', 'routewall'])).stdout.includes('7777');
  await eventually('the rules allow it', allows);
  goesOn();
  await routewall.enforced('web', { after: mark });
  await traffic.fates();
  expect(traffic.unexcused()).toEqual([]);
});
