/** What of a bridge, its ports and its leases nobody tells of is found by the regular comparison. */
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge, makeLeases } from '../../sandbox/bridge.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type Routewall, startRoutewall } from './routewall.ts';
import { stopMonitors } from './stop-monitors.ts';
import { whileStopped } from './while-stopped.ts';

const MAC = '02:16:3e:00:00:01';
const VETH = 'webveth';
const lease = (address: string): string => `0 ${MAC} ${address} web 01:${MAC}\n`;

let routewall: Routewall;
/** A file of leases by the name that dnsmasq would write it under leads through this link. */
let current: string;
let good: string;

const shell = async (script: string): Promise<string> => (await routewall.bed.host.run('sh', ['-c', script])).stdout;

const readState = (): Promise<string> =>
  shell(`nft list table bridge routewall | sed -E 's/(packets|bytes) [0-9]+//g'
    ip -d link show ${VETH} | grep -o 'isolated [a-z]*\\|guard [a-z]*'
    ip -d link show ${BRIDGE} | grep -o 'no_linklocal_learn [0-9]'`);

const aFewComparisons = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_500));

beforeAll(async () => {
  const leases = await makeLeases();
  const folder = await makeFolder();
  current = join(folder, 'current');
  for (const last of [200, 201]) {
    await mkdir(join(folder, `${last}`));
    await writeFile(join(folder, `${last}`, 'leases'), lease(`198.51.100.${last}`));
  }
  await symlink('200', current);
  await symlink(join(current, 'leases'), leases.file);
  routewall = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: `leases: ${leases.pattern}\nresync: 1\n`,
    policies: { 'containers/web.yaml': 'egress: { default: drop }\n' },
    prepare: async ({ host }) => {
      await createBridge(host);
      // Otherwise it takes over its first port's.
      await host.run('ip', ['link', 'set', 'dev', BRIDGE, 'address', '02:16:3e:00:00:99']);
    },
  });
  const lines = bridgedNic([], { hwaddr: MAC, extra: [`veth.pair = ${VETH}`] });
  await routewall.start(await routewall.addContainer('web', { lines }));
  expect(await stopMonitors(routewall)).toBeGreaterThanOrEqual(3);
  good = await readState();
  expect(good).toContain(`"${VETH}" . 198.51.100.200`);
});
afterAll(cleanUp);

test.each([
  `ip link set dev ${VETH} type bridge_slave isolated off`,
  `ip link set dev ${VETH} type bridge_slave guard off`,
  `ip link set dev ${BRIDGE} type bridge no_linklocal_learn 0`,
  `nft delete element bridge routewall apart '{ "${VETH}" }'`,
  'nft flush set bridge routewall owned4',
  'nft delete table bridge routewall',
])('mends `%s`', async (drift) => {
  await aFewComparisons();
  const drifted = await whileStopped(routewall, async () => {
    await shell(drift);
    return await readState();
  });
  expect(drifted).not.toBe(good);
  await eventually('it is mended', async () => (await readState()) === good, 15_000);
});

test('takes in another lease', async () => {
  await aFewComparisons();
  // Neither the folder nor the file that a watcher sees is touched.
  await symlink('201', `${current}.new`);
  await rename(`${current}.new`, current);
  const ours = `"${VETH}" . 198.51.100.201`;
  await eventually('it is in force', async () => (await readState()).includes(ours), 15_000);
});
