/** Every shape of a NIC that LXC can make is served, and what others made is left alone. */
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createContainer } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PORT = { protocol: 'tcp', port: 80 } as const;
const policies = { 'containers/_default.yaml': OPEN };
const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'];

const reach = (from: Place, targets: readonly string[], source?: string): Promise<string[]> =>
  Promise.all(
    targets.map((to) => probe(from, { ...PORT, to, timeout: 4_000, ...(source === undefined ? {} : { source }) })),
  );
const allowed = (targets: readonly unknown[]): string[] => targets.map(() => 'allowed');

const proxiesOf = async (host: Place): Promise<string> => {
  const lists = await Promise.all(['-4', '-6'].map((family) => host.run('ip', [family, 'neigh', 'show', 'proxy'])));
  return lists
    .map(({ stdout }) => stdout.trim())
    .join('\n')
    .trim();
};

describe('a container', () => {
  test('with several NICs and several addresses each is reached by all of them', async () => {
    const rw = await startRoutewall({ policies });
    const first = ['198.51.100.20', '198.51.100.21', '2001:db8:100::20', '2001:db8:100::21'];
    const second = ['198.51.100.22', '198.51.100.23'];
    // A gap in the indexes, behind which lxc-info says nothing.
    const lines = [...nic(first), ...nic(second, { index: 2 })];
    const many = await rw.addContainer('many', { lines });
    await rw.start(many, 2);
    const inside = await many.inside();
    await listen(inside, PORT);
    await listen(rw.bed.outside, PORT);
    expect(await reach(rw.bed.outside, first)).toEqual(allowed(first));
    for (const source of first.slice(0, 2)) expect(await reach(inside, ['203.0.113.80'], source)).toEqual(['allowed']);
    // Each NIC may send from its own addresses only.
    expect(await reach(inside, ['203.0.113.80'], '198.51.100.22')).toEqual(['dropped']);
    const routes = [
      'route add default via 169.254.0.1 dev eth2 onlink table 2',
      'rule add from 198.51.100.22/31 table 2',
    ];
    await inside.run('ip', ['-batch', '-'], { input: `${routes.join('\n')}\n` });
    expect(await reach(rw.bed.outside, second)).toEqual(allowed(second));
    expect(await reach(inside, ['203.0.113.80'], '198.51.100.22')).toEqual(['allowed']);
  });

  test.each([
    ['IPv4', ['198.51.100.24'], '203.0.113.80'],
    ['IPv6', ['2001:db8:100::24'], '2001:db8:ffff::80'],
  ])('with %s alone is reached and reaches', async (_, addresses, internet) => {
    const rw = await startRoutewall({ policies });
    const one = await rw.addContainer('one', { lines: nic(addresses) });
    await rw.start(one);
    await listen(await one.inside(), PORT);
    await listen(rw.bed.outside, PORT);
    expect(await reach(rw.bed.outside, addresses)).toEqual(['allowed']);
    expect(await reach(await one.inside(), [internet])).toEqual(['allowed']);
  });

  test('with routed prefixes forwards for them, both ways and no further', async () => {
    const rw = await startRoutewall({
      policies: { 'containers/router.yaml': `routes: [198.51.100.80/28, "2001:db8:100:0:80::/80"]\n${OPEN}` },
    });
    const lines = nic(addressesOf(25), {
      extra: ['veth.ipv4.route = 198.51.100.64/28', 'veth.ipv6.route = 2001:db8:100:0:64::/80'],
    });
    const router = await rw.addContainer('router', { lines });
    await rw.start(router);
    const inside = await router.inside();
    const behind = ['198.51.100.65', '198.51.100.95', '2001:db8:100:0:64::9', '2001:db8:100:0:80::9'];
    const beside = ['198.51.100.96', '2001:db8:100:0:96::9'];
    for (const address of [...behind, ...beside]) {
      const options = address.includes(':') ? ['/128', 'nodad'] : ['/32'];
      await inside.run('ip', ['address', 'add', `${address}${options[0]}`, 'dev', 'eth0', ...options.slice(1)]);
    }
    await listen(inside, PORT);
    await listen(rw.bed.outside, PORT);
    expect(await reach(rw.bed.outside, behind)).toEqual(allowed(behind));
    const sent = (sources: readonly string[]) =>
      Promise.all(
        sources.map((from) =>
          reach(
            inside,
            INTERNET.filter((to) => to.includes(':') === from.includes(':')),
            from,
          ),
        ),
      );
    expect(await sent(behind)).toEqual(behind.map(() => ['allowed']));
    expect(await sent(beside)).toEqual(beside.map(() => ['dropped']));
    await rw.stop(router);
    expect((await rw.bed.host.run('ip', ['route', 'show', 'proto', '119'])).stdout.trim()).toBe('');
  });

  test('with a fixed veth name that no guard pattern matches is shut, then served', async () => {
    const rw = await startRoutewall({ policies });
    const lines = nic(addressesOf(26), { extra: ['veth.pair = web-out.0'] });
    const web = await rw.addContainer('web', { lines });
    await rw.start(web);
    await listen(rw.bed.outside, PORT);
    expect(await reach(await web.inside(), INTERNET)).toEqual(allowed(INTERNET));
    await rw.stop(web);
    // Known by name, and nobody there to claim it.
    await rw.daemon.stop('SIGKILL');
    await web.start();
    expect(await probe(await web.inside(), { ...PORT, to: '203.0.113.80', timeout: 1_500 })).not.toBe('allowed');
    expect(await probe(rw.bed.host, { ...PORT, to: '198.51.100.26', timeout: 1_500 })).not.toBe('allowed');
  });

  test('in a second LXC path is served, beside one of the same name in the first', async () => {
    const rw = await startRoutewall({ policies, lxcPaths: 2 });
    const [lxcPath = ''] = rw.lxcPaths.slice(1);
    const one = await rw.addContainer('twin', { lines: nic(addressesOf(27)) });
    const two = await rw.addContainer('twin', { lines: nic(addressesOf(28)), lxcPath });
    await rw.start(one);
    await rw.start(two);
    for (const twin of [one, two]) await listen(await twin.inside(), PORT);
    const targets = [...addressesOf(27), ...addressesOf(28)];
    expect(await reach(rw.bed.outside, targets)).toEqual(allowed(targets));
    await rw.stop(one);
    expect(await reach(rw.bed.outside, addressesOf(28))).toEqual(['allowed', 'allowed']);
  });
});

describe("LXC's own router mode with l2proxy", () => {
  const ON_LINK = ['192.0.2.70', '2001:db8:0:1::70'];
  const lines = [
    'lxc.net.0.type = veth',
    'lxc.net.0.veth.mode = router',
    'lxc.net.0.link = eth0',
    'lxc.net.0.l2proxy = 1',
    'lxc.net.0.flags = up',
    'lxc.net.0.name = eth0',
    `lxc.net.0.ipv4.address = ${ON_LINK[0]}/32`,
    'lxc.net.0.ipv4.gateway = 169.254.0.1',
    `lxc.net.0.ipv6.address = ${ON_LINK[1]}/128`,
    'lxc.net.0.ipv6.gateway = fe80::1',
  ];
  // What LXC insists on before it starts such a container.
  const sysctls = {
    'net/ipv4/conf/eth0/forwarding': '1',
    'net/ipv6/conf/all/forwarding': '1',
    'net/ipv6/conf/eth0/forwarding': '1',
    'net/ipv6/conf/eth0/proxy_ndp': '1',
  };
  const prepare = async ({ host }: { readonly host: Place }): Promise<void> =>
    void (await host.run('sysctl', ['-q', '-w', ...Object.entries(sysctls).map(([key, value]) => `${key}=${value}`)]));

  test('works, is filtered, and leaks no proxies when it stops, also while the daemon is dead', async () => {
    const rw = await startRoutewall({ policies, prepare });
    const web = await rw.addContainer('web', { lines });
    await rw.start(web);
    await listen(await web.inside(), PORT);
    await listen(rw.bed.outside, PORT);
    expect(await reach(rw.bed.outside, ON_LINK)).toEqual(['allowed', 'allowed']);
    expect(await reach(await web.inside(), INTERNET)).toEqual(['allowed', 'allowed']);
    await rw.stop(web);
    await eventually('no proxies are left', async () => (await proxiesOf(rw.bed.host)) === '');
    await rw.start(web);
    await rw.daemon.stop('SIGKILL');
    await web.stop();
    expect(await proxiesOf(rw.bed.host)).not.toBe('');
    await rw.daemon.restart();
    expect(await proxiesOf(rw.bed.host)).toBe('');
    const routes = await rw.bed.host.run('ip', ['route', 'show', '192.0.2.70']);
    expect(routes.stdout.trim()).toBe('');
  });
});

describe('what somebody else made', () => {
  test('stays: a route to the same address', async () => {
    const rw = await startRoutewall({
      policies,
      prepare: async ({ host }) =>
        void (await host.run('ip', ['route', 'add', '198.51.100.30/32', 'via', '192.0.2.2'])),
    });
    const { host } = rw.bed;
    const show = async (): Promise<string> =>
      (await host.run('ip', ['route', 'show', '198.51.100.30', 'proto', 'boot'])).stdout.trim();
    const before = await show();
    const [one, two] = [
      await rw.addContainer('one', { lines: nic(addressesOf(30)) }),
      await rw.addContainer('two', { lines: nic(addressesOf(31)) }),
    ];
    await rw.start(one);
    await rw.start(two);
    expect(await show()).toBe(before);
    await listen(await two.inside(), PORT);
    expect(await reach(rw.bed.outside, addressesOf(31))).toEqual(['allowed', 'allowed']);
    await rw.stop(one);
    expect(await show()).toBe(before);
  });

  test('stays: a neighbour proxy for the same address', async () => {
    const address = '192.0.2.71';
    const rw = await startRoutewall({
      policies,
      prepare: async ({ host }) => void (await host.run('ip', ['neigh', 'add', 'proxy', address, 'dev', 'eth0'])),
    });
    const before = await proxiesOf(rw.bed.host);
    const web = await rw.addContainer('web', { lines: nic([address]) });
    await rw.start(web);
    expect(await proxiesOf(rw.bed.host)).toBe(before);
    await listen(await web.inside(), PORT);
    expect(await reach(rw.bed.outside, [address])).toEqual(['allowed']);
    await rw.stop(web);
    expect(await proxiesOf(rw.bed.host)).toBe(before);
  });

  test('stays: a proxy that came after the daemon started', async () => {
    const address = '192.0.2.72';
    const rw = await startRoutewall({ policies });
    await rw.bed.host.run('ip', ['neigh', 'add', 'proxy', address, 'dev', 'eth0']);
    const before = await proxiesOf(rw.bed.host);
    const web = await rw.addContainer('web', { lines: nic([address]) });
    await rw.start(web);
    await rw.stop(web);
    expect(await proxiesOf(rw.bed.host)).toBe(before);
  });

  test('stays: a flow of the host while containers come and go', async () => {
    const rw = await startRoutewall({ policies });
    await listen(rw.bed.outside, PORT);
    const flow = await openFlow(rw.bed.host, { ...PORT, to: '203.0.113.80' });
    const web = await rw.addContainer('web', { lines: nic(addressesOf(32)) });
    await rw.start(web);
    expect(await flow.beat()).toBe('alive');
    await rw.stop(web);
    expect(await flow.beat()).toBe('alive');
  });

  test('stays: a container that the daemon does not serve', async () => {
    const rw = await startRoutewall({ policies });
    const other = await createContainer({
      host: rw.bed.host,
      lxcPath: rw.bed.lxcPath,
      name: 'lonely',
      config: ['lxc.net.0.type = empty'],
    });
    await other.start();
    expect(await other.state()).toBe('RUNNING');
    const web = await rw.addContainer('web', { lines: nic(addressesOf(33)) });
    await rw.start(web);
    expect(rw.daemon.log().filter((line) => / (error|warning): (?!D-Bus)/.test(line))).toEqual([]);
  });
});
