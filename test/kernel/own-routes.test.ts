/** What is read of our routes is what `ip route` says of them. */
import { afterEach, expect, it } from 'vitest';
import { createTurn } from '../../controller/in-turns.ts';
import { type Fields, records } from '../../controller/kernel/ip-json.ts';
import { readOwnRouteFields } from '../../controller/kernel/own-routes.ts';
import type { Family } from '../../render/address.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { runIn } from './namespace-commands.ts';

afterEach(cleanUp);

/** `ip` has to write it in JSON's words. */
const ODD = `a"b\\c`;
const LINKS = [
  'link add eth0 type veth peer name far0',
  'link add odd0 type veth peer name odd1',
  ...['eth0', 'far0', 'odd0', 'odd1'].map((name) => `link set ${name} up`),
  'address add 192.0.2.1/24 dev eth0',
  'address add 2001:db8::1/64 dev eth0 nodad',
];
const ROUTES: Readonly<Record<Family, readonly string[]>> = {
  4: [
    '198.51.100.1/32 dev eth0 proto 119 metric 4096',
    '198.51.100.1/32 dev eth0 proto static metric 5',
    '198.51.100.64/28 dev odd0 proto 119',
    '198.51.100.80/28 via 192.0.2.2 proto 119 metric 7',
    '198.51.100.96/28 via inet6 2001:db8::3 dev eth0 proto 119',
    'default via 192.0.2.2 proto 119 metric 9',
    'default dev eth0 proto 119 table 11905',
    'unreachable default proto 119 table 11905 metric 4294967295',
    '0.0.0.0/1 dev eth0 proto 119 table 300',
    'blackhole 203.0.113.0/24 proto 119',
    '203.0.113.0/25 proto 119 nexthop via 192.0.2.2 nexthop via 192.0.2.3',
  ],
  6: [
    '2001:db8:100::1/128 dev eth0 proto 119 metric 4096',
    '2001:db8:100::2/128 dev eth0 proto static metric 4096',
    '2001:db8:101::/64 dev odd0 proto 119',
    '2001:db8:102::/64 via 2001:db8::2 proto 119 metric 7',
    '2001:db8:103::/64 via fe80::2 dev eth0 proto 119',
    'default via 2001:db8::2 proto 119 table 11905',
    'unreachable default proto 119 table 11905 metric 4294967295',
    '::/1 dev eth0 proto 119 table 300',
    'blackhole 2001:db8:104::/64 proto 119',
    '2001:db8:105::/64 proto 119 nexthop via 2001:db8::2 nexthop via 2001:db8::3',
  ],
};
/** More than one answer of the kernel's holds. */
const MANY: Readonly<Record<Family, (index: number) => string>> = {
  4: (index) => `10.1.${index >> 8}.${index & 255}/32 dev eth0 proto 119`,
  6: (index) => `2001:db8:1::${index.toString(16)}/128 dev eth0 proto 119`,
};

const parts = ({ dst, type, gateway, dev, table, metric }: Fields): Fields => ({
  ...{ dst, type, gateway, dev, table, metric },
});

it.each<Family>([4, 6])('is what ip says of IPv%s, in its order', async (family) => {
  const host = await createNamespace('host');
  const run = runIn(host);
  const many = Array.from({ length: 2000 }, (_, index) => MANY[family](index));
  const routes = [...ROUTES[family], ...many].map((route) => `route add ${route}`);
  await host.run('ip', ['-batch', '-'], { input: LINKS.map((line) => `${line}\n`).join('') });
  await host.run('ip', [`-${family}`, '-batch', '-'], { input: routes.map((line) => `${line}\n`).join('') });
  await host.run('ip', ['link', 'set', 'odd0', 'name', ODD]);
  const words = ['-j', '-N', `-${family}`, 'route', 'show', 'table', 'all', 'proto', '119'];
  const said = records(JSON.parse((await host.run('ip', words)).stdout));
  const told = await readOwnRouteFields(run, family, createTurn());
  expect(told.map(parts)).toEqual(said.map(parts));
  expect(told.length).toBeGreaterThanOrEqual(2000 + ROUTES[family].length - 1);
  expect(told.map(({ dev }) => dev)).toContain(ODD);
});

it('is an error where the kernel gives none', async () => {
  const refused = { stdout: '', stderr: 'netlink: No buffer space available\n', exitCode: 1 };
  const told = readOwnRouteFields(async () => refused, 4, createTurn());
  await expect(told).rejects.toThrow('IPv4 routes: netlink: No buffer space available');
});

it('is an error where it ends in the middle', async () => {
  const half = { stdout: '[{"dst":"198.51.100.1","de', stderr: '', exitCode: 0 };
  await expect(readOwnRouteFields(async () => half, 4, createTurn())).rejects.toThrow('IPv4 routes: no JSON');
});
