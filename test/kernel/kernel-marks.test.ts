/** Whatever a comparison with the kernel would look at gives another mark when it changes; what nobody reads doesn't. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Resident } from '../../controller/commands/run.ts';
import { type KernelMarks, openKernelMarks } from '../../controller/kernel/kernel-marks.ts';
import { isMarked } from '../../controller/kernel/netlink-marks.ts';
import { atEnd, cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { startIn } from './namespace-commands.ts';

let host: Namespace;
let marks: KernelMarks;
let started: Resident[];

const sh = (command: string) => host.run('sh', ['-c', command]);

beforeEach(async () => {
  host = await createNamespace('host');
  started = [];
  marks = openKernelMarks(startIn(host, started), 1000);
  atEnd('stop the marks', async () => marks.stop());
  await sh(`ip link add v1 type veth peer name v2; ip link set v1 up; ip link set v2 up
    ip link add br0 type bridge; ip link set br0 up
    ip address add 192.0.2.1/24 dev v1; ip -6 address add 2001:db8::1/64 dev v1 nodad
    ip route add 198.51.100.0/24 dev v1 proto 119; ip -6 route add 2001:db8:1::/64 dev v1 proto 119
    ip neighbour add proxy 192.0.2.9 dev v1 protocol 119; ip -6 neighbour add proxy 2001:db8::9 dev v1 protocol 119
    nft 'add table inet routewall { set s { type ipv4_addr; elements = { 192.0.2.7 }; }; chain c { counter; }; }'`);
  await settled();
});
afterEach(cleanUp);

/** Links come up and addresses are tried for a while. */
async function settled(): Promise<string> {
  let before: string | undefined;
  for (let [same, looks] = [0, 0]; same < 3; looks++) {
    if (looks > 100) throw new Error('it never settles');
    const now = (await marks.read())?.kernel;
    same = now !== undefined && now === before ? same + 1 : 0;
    before = now;
    await sleep(50);
  }
  return before ?? '';
}

it.each([
  ['nft add element inet routewall s { 192.0.2.8 }', 'nft delete element inet routewall s { 192.0.2.8 }'],
  ['nft add rule inet routewall c accept', 'nft flush chain inet routewall c'],
  ['nft add table inet other', 'nft delete table inet other'],
  ['ip route del 198.51.100.0/24', 'ip route add 198.51.100.0/24 dev v1 proto 119'],
  ['ip -6 route del 2001:db8:1::/64', 'ip -6 route add 2001:db8:1::/64 dev v1 proto 119'],
  ['ip route replace 198.51.100.0/24 dev v2 proto 119', 'ip route replace 198.51.100.0/24 dev v1 proto 119'],
  ['ip route add 203.0.113.0/24 dev v1 proto 119 table 4711', 'ip route del 203.0.113.0/24 table 4711'],
  ['ip neighbour del proxy 192.0.2.9 dev v1', 'ip neighbour add proxy 192.0.2.9 dev v1 protocol 119'],
  ['ip -6 neighbour del proxy 2001:db8::9 dev v1', 'ip -6 neighbour add proxy 2001:db8::9 dev v1 protocol 119'],
  ['ip neighbour add proxy 192.0.2.9 dev v2', 'ip neighbour del proxy 192.0.2.9 dev v2'],
  ['ip address add 169.254.0.1/32 dev v1 scope link', 'ip address del 169.254.0.1/32 dev v1'],
  ['ip address del 2001:db8::1/64 dev v1', 'ip address add 2001:db8::1/64 dev v1 nodad'],
  ['ip link add v3 type veth peer name v4', 'ip link del v3'],
  ['ip link set v2 down', 'ip link set v2 up'],
  ['ip link set v2 master br0', 'ip link set v2 nomaster'],
  ['ip link set v2 address 02:00:00:00:00:07', 'ip link set v2 address 02:00:00:00:00:08'],
  ['ip link set v2 name v7', 'ip link set v7 name v2'],
])('tells of `%s` and of its end', async (change, back) => {
  for (const command of [change, back]) {
    const before = await settled();
    await sh(command);
    expect(await settled()).not.toBe(before);
  }
});

const SETTINGS = [
  'ipv4/conf/v1/forwarding',
  'ipv4/conf/v1/proxy_arp',
  'ipv6/conf/v1/accept_ra',
  'ipv6/conf/v1/proxy_ndp',
];

it('tells of each setting that it is said to tell of', async () => {
  for (const key of [...SETTINGS, 'ipv6/conf/v1/forwarding'].map((name) => `net/${name}`)) {
    expect(isMarked(key)).toBe(true);
    const value = Number((await sh(`cat /proc/sys/${key}`)).stdout);
    const before = await settled();
    await sh(`echo ${value === 0 ? 1 : 0} > /proc/sys/${key}`);
    expect(await settled(), key).not.toBe(before);
  }
});

it.each([
  'net/ipv4/conf/all/forwarding',
  'net/ipv6/conf/default/accept_ra',
  'net/ipv4/ip_forward',
  'net/ipv4/conf/v1/x',
])('is said to tell nothing of %s', (key) => expect(isMarked(key)).toBe(false));

it('stays the same through lifetimes, statistics, the timers of bridges, and routes of others', async () => {
  await sh('ip address add 192.0.2.2/24 dev v1 valid_lft 500 preferred_lft 400');
  await sh('while ip -6 address show tentative | grep -q inet6; do sleep 0.1; done');
  const before = await settled();
  await sh('ping -c 2 -i 0.2 -W 1 192.0.2.77 || true; ip route add 203.0.113.0/24 dev v1 proto 42');
  expect(await settled()).toBe(before);
});

it('gives other words after its process ended, and none while it hangs', async () => {
  const before = await settled();
  process.kill(started[0]?.pid ?? 0, 'SIGSTOP');
  expect((await marks.read())?.kernel).toBeUndefined();
  expect(await settled()).not.toBe(before);
  // A machine that is busy may have one more given up.
  expect(started.length).toBeGreaterThan(1);
});
