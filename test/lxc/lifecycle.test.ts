/** However a container's life ends or goes on, the kernel holds exactly what follows, and nothing of others' changes. */
import { writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Host } from '../../sandbox/host.ts';
import { listen, openFlow } from '../../sandbox/services.ts';
import { containerState, type Expected, expectedState, ownStateBy, readForeign, readOwnState } from './kernel-state.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Somebody else's state, of each kind that is ours too. */
async function addForeign({ host }: Host): Promise<void> {
  const rules = `chain input { type filter hook input priority 0; tcp dport 23 drop; }; set s { type ifname; elements = { "veths" } }`;
  await host.run('nft', ['-f', '-'], {
    input: `table inet somebody { ${rules}; }\ntable arp somebody { chain c { }; }\n`,
  });
  await host.run('ip', ['route', 'add', '203.0.113.0/25', 'via', '192.0.2.2', 'proto', 'static']);
  await host.run('ip', ['-6', 'route', 'add', '2001:db8:77::/48', 'via', '2001:db8:0:1::2']);
  await host.run('ip', ['neigh', 'add', 'proxy', '192.0.2.99', 'dev', 'eth0']);
  await host.run('ip', ['neigh', 'add', 'proxy', '2001:db8:0:1::99', 'dev', 'eth0', 'protocol', '17']);
}

/** One address of each family on the uplink's own prefix, one that is routed to the host. */
const addresses = (last: number): string[] => [...addressesOf(last), `192.0.2.${last}`, `2001:db8:0:1::${last}`];

async function expected(container: Container, last: number): Promise<Expected> {
  return { veth: await container.hostVeth(), addresses: addresses(last), proxied: addresses(last).slice(2) };
}

/** Waits for it, and fails with the difference. */
async function holdsExactly({ bed }: Routewall, running: readonly Expected[]): Promise<void> {
  const wanted = expectedState(running);
  const found = await ownStateBy(bed.host, (state) => isDeepStrictEqual(containerState(state), wanted));
  expect(containerState(found)).toEqual(wanted);
}

async function flowsOf({ bed }: Routewall, address: string): Promise<number> {
  const { stdout } = await bed.host.run('conntrack', ['-L', '-f', address.includes(':') ? 'ipv6' : 'ipv4']);
  return stdout.split('\n').filter((line) => line.includes(`=${address} `)).length;
}

async function makeBed(): Promise<{
  routewall: Routewall;
  web: Container;
  other: Container;
  foreign: string;
  base: unknown;
}> {
  const routewall = await startRoutewall({ prepare: addForeign });
  const web = await routewall.addContainer('web', { lines: nic(addresses(10)), policy: OPEN });
  const other = await routewall.addContainer('other', { lines: nic(addresses(11)), policy: OPEN });
  const base = await readOwnState(routewall.bed.host);
  await routewall.start(other);
  const foreign = await readForeign(routewall.bed.host);
  return { routewall, web, other, foreign, base };
}

test('a stop, a kill and a reboot leave exactly what runs, no connection of what is gone, and all of others', async () => {
  const { routewall, web, other, foreign, base } = await makeBed();
  const { bed } = routewall;
  const neighbour = await expected(other, 11);
  await holdsExactly(routewall, [neighbour]);
  for (const how of ['shutdown', 'kill'] as const) {
    await routewall.start(web);
    await holdsExactly(routewall, [neighbour, await expected(web, 10)]);
    await listen(await web.inside(), { protocol: 'tcp', port: 80 });
    for (const to of ['198.51.100.10', '2001:db8:0:1::10'])
      await openFlow(bed.outside, { protocol: 'tcp', to, port: 80, timeout: 3_000 });
    expect([await flowsOf(routewall, '198.51.100.10'), await flowsOf(routewall, '2001:db8:0:1::10')]).toEqual([1, 1]);
    await routewall.stop(web, how);
    await holdsExactly(routewall, [neighbour]);
    for (const to of ['198.51.100.10', '2001:db8:0:1::10'])
      await eventually(`no connections of ${to}`, async () => (await flowsOf(routewall, to)) === 0);
    expect(await readForeign(bed.host)).toBe(foreign);
  }
  await routewall.start(web);
  const before = await web.hostVeth();
  await web.reboot();
  expect(await web.hostVeth()).not.toBe(before);
  await holdsExactly(routewall, [neighbour, await expected(web, 10)]);
  await routewall.stop(web);
  await routewall.stop(other);
  await holdsExactly(routewall, []);
  expect(await ownStateBy(bed.host, (state) => isDeepStrictEqual(state, base))).toEqual(base);
  expect(await readForeign(bed.host)).toBe(foreign);
});

test('a start that fails in a hook or in init leaves nothing', async () => {
  const { routewall, web, other, foreign } = await makeBed();
  const neighbour = await expected(other, 11);
  const failing = [
    [...nic(addresses(10)), 'lxc.net.0.script.up = /bin/false'],
    [...nic(addresses(10)), 'lxc.hook.start-host = /bin/false'],
    [...nic(addresses(10)), 'lxc.init.cmd = /sbin/nothing-there'],
  ];
  for (const config of failing) {
    await web.configure(config);
    await web.start().then(
      // LXC says RUNNING before it knows that there is no init.
      () => eventually('it ends', async () => (await web.state()) === 'STOPPED'),
      () => undefined,
    );
    await holdsExactly(routewall, [neighbour]);
    expect(await readForeign(routewall.bed.host)).toBe(foreign);
  }
  await web.configure(nic(addresses(10)));
  await routewall.start(web);
  await holdsExactly(routewall, [neighbour, await expected(web, 10)]);
});

test('a container whose monitor is killed, of which LXC tells nobody, is gone with its init', async () => {
  const { routewall, web, other, foreign } = await makeBed();
  const neighbour = await expected(other, 11);
  await routewall.start(web);
  await holdsExactly(routewall, [neighbour, await expected(web, 10)]);
  await web.killMonitor();
  await holdsExactly(routewall, [neighbour]);
  await web.destroy();
  expect(await readForeign(routewall.bed.host)).toBe(foreign);
});

test('a frozen container keeps its rules, and twenty starts and stops leave nothing over', async () => {
  const { routewall, web, other, foreign } = await makeBed();
  const { bed } = routewall;
  const neighbour = await expected(other, 11);
  await routewall.start(web);
  const mine = await expected(web, 10);
  await bed.host.run('lxc-freeze', ['-P', web.lxcPath, '-n', 'web']).catch(() => undefined);
  await holdsExactly(routewall, [neighbour, mine]);
  await bed.host.run('lxc-unfreeze', ['-P', web.lxcPath, '-n', 'web']).catch(() => undefined);
  await holdsExactly(routewall, [neighbour, mine]);
  await web.stop('kill');
  for (let round = 0; round < 20; round += 1) {
    await web.start();
    await web.stop('kill');
  }
  await holdsExactly(routewall, [neighbour]);
  expect(await readForeign(bed.host)).toBe(foreign);
  expect(routewall.daemon.log().filter((line) => / error: /.test(line))).toEqual([]);
});

test('a broken edit of the LXC configuration, its loss and its return touch only what starts next', async () => {
  const { routewall, web, other } = await makeBed();
  const neighbour = await expected(other, 11);
  await routewall.start(web);
  const mine = await expected(web, 10);
  await writeFile(web.configFile, 'lxc.nonsense = 1\n');
  await routewall.daemon.waitForLog(/web\/config:1:1: error: /);
  await holdsExactly(routewall, [neighbour, mine]);
  await web.configure(nic(addresses(10)));
  await routewall.daemon.waitForLog(/no longer: .*web\/config:1:1: /);
  await routewall.bed.host.run('mv', [web.configFile, `${web.configFile}~`]);
  await routewall.daemon.waitForLog(/web\/config:1:1: error: is gone/);
  await holdsExactly(routewall, [neighbour, mine]);
  await routewall.bed.host.run('mv', [`${web.configFile}~`, web.configFile]);
  await routewall.daemon.waitForLog(/no longer: .*web\/config:1:1: error: is gone/);
  await holdsExactly(routewall, [neighbour, mine]);
  await routewall.bed.host.run('mv', [web.configFile, `${web.configFile}~`]);
  await routewall.bed.host.run('ip', ['link', 'del', mine.veth]);
  await holdsExactly(routewall, [neighbour]);
});
