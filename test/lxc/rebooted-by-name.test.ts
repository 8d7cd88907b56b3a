/** A container whose configuration names its veth comes back by the same name: it is another link, and nothing of what ran before is left. */
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow } from '../../sandbox/services.ts';
import { containerState, expectedState, ownStateBy } from './kernel-state.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';
import { whileStopped } from './while-stopped.ts';

afterEach(cleanUp);

const VETH = 'vethNAMED0';
const ADDRESSES = addressesOf(10);

async function makeRunning(lines: (routewall: Routewall) => readonly string[] = () => []) {
  const routewall = await startRoutewall();
  const named = nic(ADDRESSES, { extra: [`veth.pair = ${VETH}`] });
  const web = await routewall.addContainer('web', { lines: [...named, ...lines(routewall)], policy: OPEN });
  await routewall.start(web);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
  for (const to of ADDRESSES) await openFlow(routewall.bed.outside, { protocol: 'tcp', to, port: 80, timeout: 3_000 });
  return { routewall, web };
}

async function linkIndex({ bed }: Routewall): Promise<string | undefined> {
  const { stdout } = await bed.host.run('ip', ['-o', 'link', 'show']);
  return new RegExp(`^(\\d+): ${VETH}@`, 'm').exec(stdout)?.[1];
}

async function flowsOf({ bed }: Routewall, address: string): Promise<number> {
  const { stdout } = await bed.host.run('conntrack', ['-L', '-f', address.includes(':') ? 'ipv6' : 'ipv4']);
  return stdout.split('\n').filter((line) => line.includes(`=${address} `)).length;
}

async function isAsAfterAStart(routewall: Routewall, mark: number): Promise<void> {
  await routewall.enforced('web', { after: mark });
  const wanted = expectedState([{ veth: VETH, addresses: ADDRESSES }]);
  const found = await ownStateBy(routewall.bed.host, (state) => isDeepStrictEqual(containerState(state), wanted));
  expect(containerState(found)).toEqual(wanted);
  for (const to of ADDRESSES)
    await eventually(`no connections of ${to}`, async () => (await flowsOf(routewall, to)) === 0);
  // The new link had no settings yet, which is nobody's doing.
  const said = routewall.daemon.child().lines.slice(mark);
  expect(said.filter((line) => /warning|error/.test(line))).toEqual([]);
}

test('as fast as LXC is', async () => {
  const { routewall, web } = await makeRunning();
  const mark = routewall.mark();
  await web.reboot();
  await isAsAfterAStart(routewall, mark);
});

test('while the daemon has other things to do', async () => {
  const { routewall, web } = await makeRunning();
  const mark = routewall.mark();
  await whileStopped(routewall, () => web.reboot());
  await isAsAfterAStart(routewall, mark);
});

test('with a hook that waits for it', async () => {
  const { routewall, web } = await makeRunning(({ hook }) => [`lxc.net.0.script.up = ${hook}`]);
  const mark = routewall.mark();
  const before = await linkIndex(routewall);
  let rebooting: Promise<void> | undefined;
  await whileStopped(routewall, async () => {
    rebooting = web.reboot();
    rebooting.catch(() => undefined);
    await eventually('another link', async () => ![undefined, before].includes(await linkIndex(routewall)));
  });
  await rebooting;
  await isAsAfterAStart(routewall, mark);
});
