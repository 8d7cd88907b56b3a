/** Neighbours find a container's addresses on their link while it runs, and a container finds its gateway. */
import { afterEach, describe, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { createWire } from '../../sandbox/wire.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const ON_LINK = ['192.0.2.50', '2001:db8:0:1::50'] as const;
const PORT = { protocol: 'tcp', port: 80 } as const;
const policies = { 'containers/web.yaml': OPEN };

/** Whether the place's own kernel learns a hardware address for it; that one asks three times, a second apart. */
async function resolvesOne(from: Place, address: string): Promise<boolean> {
  await from.run('ip', [address.includes(':') ? '-6' : '-4', 'neigh', 'flush', 'to', address]);
  await from.runForResult('ping', ['-n', '-q', '-c', '1', '-W', '1', address]);
  const entry = async (): Promise<string> => (await from.run('ip', ['neigh', 'show', address])).stdout;
  await eventually('an answer, or none', async () => /lladdr|FAILED/.test(await entry()));
  return (await entry()).includes('lladdr');
}
const resolves = async (from: Place, addresses: readonly string[]): Promise<boolean[]> =>
  await Promise.all(addresses.map((address) => resolvesOne(from, address)));

const proxiesOf = async (host: Place): Promise<string> => {
  const lists = await Promise.all(['-4', '-6'].map((family) => host.run('ip', [family, 'neigh', 'show', 'proxy'])));
  return lists
    .map(({ stdout }) => stdout.trim())
    .join('\n')
    .trim();
};

describe('an address on the link of an uplink', () => {
  test('is found by ARP and NDP while the container runs, and only then', async () => {
    const rw = await startRoutewall({ policies });
    const { outside, host } = rw.bed;
    const web = await rw.addContainer('web', { lines: nic(ON_LINK) });
    expect(await resolves(outside, ON_LINK)).toEqual([false, false]);
    await rw.start(web);
    expect(await resolves(outside, ON_LINK)).toEqual([true, true]);
    await listen(await web.inside(), PORT);
    for (const to of ON_LINK) expect(await probe(outside, { ...PORT, to, timeout: 3_000 })).toBe('allowed');
    await rw.stop(web);
    expect(await resolves(outside, ON_LINK)).toEqual([false, false]);
    expect(await proxiesOf(host)).toBe('');
  });

  test('is announced to all neighbours when the container starts', async () => {
    const rw = await startRoutewall({ policies });
    const filter = 'arp or (icmp6 and ip6[40] == 136)';
    const capture = await startCapture(rw.bed.outside, { device: 'eth0', filter, direction: 'in' });
    const web = await rw.addContainer('web', { lines: nic(ON_LINK) });
    await rw.start(web);
    for (const announced of [/Reply 192\.0\.2\.50 is-at/, /> ff02::1: .*tgt is 2001:db8:0:1::50/])
      await eventually(`${announced}`, () => capture.lines().some((line) => announced.test(line)));
    await capture.stop();
  });

  test("moves a neighbour's outdated entry to this host by its announcement", async () => {
    const rw = await startRoutewall({ policies });
    const { outside } = rw.bed;
    // Else an entry that is younger than a second stays.
    await outside.run('sysctl', ['-q', '-w', 'net.ipv4.neigh.eth0.locktime=0']);
    for (const address of ON_LINK)
      await outside.run('ip', ['neigh', 'add', address, 'lladdr', '02:00:00:00:00:99', 'nud', 'stale', 'dev', 'eth0']);
    const web = await rw.addContainer('web', { lines: nic(ON_LINK) });
    await rw.start(web);
    const entries = async (): Promise<string> => (await outside.run('ip', ['neigh', 'show', 'dev', 'eth0'])).stdout;
    await eventually('both entries name another', async () => !(await entries()).includes('02:00:00:00:00:99'));
  });

  test.each(ON_LINK)('%s answers probes to its known hardware address', async (address) => {
    const rw = await startRoutewall({ policies });
    const { outside, host } = rw.bed;
    const web = await rw.addContainer('web', { lines: nic(ON_LINK) });
    await rw.start(web);
    const { stdout } = await host.run('ip', ['-br', 'link', 'show', 'eth0']);
    const lladdr = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(stdout)?.[0] ?? '';
    await outside.run('ip', ['neigh', 'replace', address, 'lladdr', lladdr, 'nud', 'probe', 'dev', 'eth0']);
    await eventually('the probe is answered', async () =>
      (await outside.run('ip', ['neigh', 'show', address])).stdout.includes('REACHABLE'),
    );
  });

  test('is answered for on the uplink with the longest prefix alone', async () => {
    const addresses = ['192.0.2.200', '2001:db8:0:1:0:1:0:50'] as const;
    const rw = await startRoutewall({
      policies,
      prepare: async ({ host }) => {
        const second = await createNamespace('second');
        await createWire(
          { namespace: host, name: 'eth1', addresses: ['192.0.2.129/25', '2001:db8:0:1:0:1::1/96'] },
          { namespace: second, name: 'eth0', addresses: ['192.0.2.130/25', '2001:db8:0:1:0:1::2/96'] },
        );
      },
    });
    const web = await rw.addContainer('web', { lines: nic(addresses) });
    await rw.start(web);
    // The link is asked before.
    await eventually('both are claimed', async () => (await proxiesOf(rw.bed.host)).split('\n').length === 2);
    const proxies = (await proxiesOf(rw.bed.host)).split('\n').map((line) => line.trim().replace(/ +/g, ' '));
    expect(proxies.map((line) => line.split(' ').slice(0, 3).join(' ')).sort()).toEqual(
      addresses.map((address) => `${address} dev eth1`),
    );
    expect(await resolves(rw.bed.outside, addresses)).toEqual([false, false]);
  });
});

describe('a gateway', () => {
  const custom = (addresses: readonly [string, string], gateways: readonly string[], extra: readonly string[] = []) => [
    'lxc.net.0.type = veth',
    'lxc.net.0.flags = up',
    'lxc.net.0.name = eth0',
    ...extra,
    `lxc.net.0.ipv4.address = ${addresses[0]}/32`,
    `lxc.net.0.ipv6.address = ${addresses[1]}/128`,
    ...gateways,
  ];
  const [routed, onLink] = [addressesOf(60), ['192.0.2.60', '2001:db8:0:1::60'] as const];
  const gateway = (v4: string, v6: string): string[] => [
    `lxc.net.0.ipv4.gateway = ${v4}`,
    `lxc.net.0.ipv6.gateway = ${v6}`,
  ];
  const ROUTER = ['lxc.net.0.link = eth0', 'lxc.net.0.veth.mode = router'];

  async function reached(rw: Routewall, lines: readonly string[], targets: readonly string[]): Promise<string[]> {
    const web = await rw.addContainer('web', { lines });
    await rw.start(web);
    await listen(rw.bed.host, PORT);
    await listen(rw.bed.outside, PORT);
    const inside = await web.inside();
    return await Promise.all(targets.map((to) => probe(inside, { ...PORT, to, timeout: 4_000 })));
  }

  test.each([
    ['that is a custom address', custom(routed, gateway('169.254.0.1', 'fe80::1'))],
    ["that is an address of the host's own", custom(onLink, gateway('192.0.2.1', '2001:db8:0:1::1'))],
    ["that is the link's real router", custom(onLink, gateway('192.0.2.2', '2001:db8:0:1::2'))],
    ['that LXC finds by itself (auto)', custom(onLink, gateway('auto', 'auto'), ROUTER)],
    ['that is nobody, on IPv4 (dev)', custom(routed, gateway('dev', 'fe80::1'))],
  ])('%s leads to the host and the internet in both families', async (_, lines) => {
    // LXC refuses its own router mode on a host that does not forward.
    const rw = await startRoutewall({ policies, host: { sysctls: { 'net/ipv6/conf/all/forwarding': '1' } } });
    const targets = ['192.0.2.1', '203.0.113.80', '2001:db8:0:1::1', '2001:db8:ffff::80'];
    expect(await reached(rw, lines, targets)).toEqual(targets.map(() => 'allowed'));
    expect(rw.daemon.log().filter((line) => / error: /.test(line))).toEqual([]);
  });

  test.each([
    ['custom addresses', gateway('169.254.0.1', 'fe80::1')],
    ['dev', gateway('dev', 'fe80::1')],
  ])('answers on a host without a default route: %s', async (_, gateways) => {
    const rw = await startRoutewall({ policies, host: { defaultRoute: false } });
    const targets = ['192.0.2.1', '192.0.2.2', '2001:db8:0:1::1', '2001:db8:0:1::2'];
    expect(await reached(rw, custom(routed, gateways), targets)).toEqual(targets.map(() => 'allowed'));
  });
});
