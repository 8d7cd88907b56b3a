/** Containers that leave by an uplink of their own: the way out, the way back, and what happens when it is gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { readForeignState, readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN } from './routewall.ts';
import { addSecondRouter, SECOND as LINK, PORT, startTwoUplinks, waysOut } from './two-uplinks.ts';

afterEach(cleanUp);

const SECOND = `uplink: eth1\n${OPEN}`;
const rulesOf = async (host: Place): Promise<string> => {
  const lists = await Promise.all(['-4', '-6'].map(async (f) => (await host.run('ip', [f, 'rule'])).stdout));
  return lists.join('').replace(/ +$/gm, '');
};
const tableOf = async (host: Place): Promise<string> =>
  /lookup (11\d+) proto 119/.exec(await rulesOf(host))?.[1] ?? expect.unreachable();
const ownRules = async (host: Place): Promise<number> =>
  (await rulesOf(host)).split('\n').filter((line) => line.includes('proto 119')).length;

describe('a container with an uplink', () => {
  test('leaves by it in both families, and reaches what is nearer as always', async () => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': SECOND, 'containers/plain.yaml': OPEN } });
    const before = await readForeignState(rw.bed.host);
    const rules = await rulesOf(rw.bed.host);
    const plain = await rw.addContainer('plain', { lines: nic(addressesOf(11)) });
    await rw.start(plain);
    // Nobody has an uplink yet: nothing of it is there.
    expect(await rulesOf(rw.bed.host)).toBe(rules);
    expect((await rw.bed.host.run('nft', ['list', 'chains', 'inet'])).stdout).not.toContain('uplink');
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    const inside = await web.inside();
    expect(await waysOut(rw, inside)).toEqual(['second', 'second']);
    expect(await waysOut(rw, await plain.inside())).toEqual(['first', 'first']);
    await listen(await plain.inside(), PORT);
    const near = ['192.0.2.1', '192.0.2.2', '2001:db8:0:1::1', '2001:db8:0:1::2', ...addressesOf(11)];
    expect(await Promise.all(near.map((to) => probe(inside, { ...PORT, to, timeout: 2_000 })))).toEqual(
      near.map(() => 'allowed'),
    );
    await rw.stop(web);
    expect(await rulesOf(rw.bed.host)).toBe(rules);
    await rw.stop(plain);
    expect(await readLeftovers(rw.bed.host)).toEqual([]);
    expect(await readForeignState(rw.bed.host)).toBe(before);
  });

  test.each([
    ['eth1', 'first'],
    ['eth0', 'second'],
  ] as const)('%s answers a flow that comes in by the other, there', async (uplink, router) => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': `uplink: ${uplink}\n${OPEN}` } });
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    await listen(await web.inside(), PORT);
    const [came, other] = router === 'first' ? [rw.first, rw.second] : [rw.second, rw.first];
    const astray = await startCapture(other, { device: 'eth0', filter: 'tcp', direction: 'in' });
    const flows = addressesOf(10).map((to, index) => ({ ...PORT, to, source: INTERNET[index] ?? '', timeout: 2_000 }));
    expect(await Promise.all(flows.map((flow) => probe(came, flow)))).toEqual(['allowed', 'allowed']);
    expect((await astray.stop()).lines).toEqual([]);
    // What it begins itself goes by its own uplink, also to the very same peers.
    const own = uplink === 'eth0' ? 'first' : 'second';
    expect(await waysOut(rw, await web.inside())).toEqual([own, own]);
  });

  test('goes by the router that it names, and is announced and answered for on that link alone', async () => {
    const own = ['192.0.2.140', '2001:db8:0:2::140'] as const;
    const gateways = `gateway: [${LINK.router.map((router) => `"${router}"`).join()}]\ntables: [100]\nmasquerade: true\n`;
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': `${gateways}${SECOND}` } });
    const { host } = rw.bed;
    const inBoth = async (...words: readonly string[]): Promise<string> => {
      const said = await Promise.all(['-4', '-6'].map((family) => host.run('ip', [family, ...words])));
      return said
        .map(({ stdout }) => stdout)
        .join('\n')
        .trim();
    };
    // Nobody else knows of a router there.
    await inBoth('route', 'flush', 'table', '200');
    const filter = 'arp or icmp6';
    const [far, near] = [
      await startCapture(rw.first, { device: 'eth0', filter, direction: 'in' }),
      await startCapture(rw.second, { device: 'eth0', filter, direction: 'in' }),
    ];
    const web = await rw.addContainer('web', { lines: nic(own) });
    await rw.start(web);
    for (const address of own) {
      const announced = new RegExp(`Reply ${address} is-at|advertisement, tgt is ${address}`);
      await eventually(`${address} is announced`, () => near.lines().some((line) => announced.test(line)));
    }
    const proxies = (await inBoth('neigh', 'show', 'proxy')).split('\n');
    expect(proxies.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual(own.map((one) => `${one} dev eth1`));
    const inside = await web.inside();
    expect(await waysOut(rw, inside)).toEqual(['second', 'second']);
    const leavesAs = LINK.host[0].replace(/\/.*/, '');
    expect((await receipts(rw.second)).map(({ from }) => from)).toContain(leavesAs);
    const asked = await rw.cli('explain', '--from', 'container:web', '--to', INTERNET[0], 'tcp/80', '--json');
    expect(JSON.parse(asked.stdout)).toMatchObject({ verdict: 'allow', translation: { source: leavesAs } });
    await listen(inside, PORT);
    const flows = own.map((to, index) => ({ ...PORT, to, source: LINK.router[index] ?? '', timeout: 2_000 }));
    expect(await Promise.all(flows.map((flow) => probe(rw.second, flow)))).toEqual(['allowed', 'allowed']);
    expect((await far.stop()).lines.filter((line) => own.some((address) => line.includes(address)))).toEqual([]);
    const further = await inBoth('route', 'show', 'table', '100');
    for (const address of own) expect(further).toMatch(new RegExp(`^${address} dev veth\\w+ proto 119`, 'm'));
    await rw.stop(web);
    expect(await inBoth('route', 'show', 'table', '100').catch(() => '')).toBe('');
    expect(await readLeftovers(host)).toEqual([]);
  });

  test('sends nothing by another while its own is down or without a router, and goes on when it is back', async () => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': SECOND } });
    const { host } = rw.bed;
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    const inside = await web.inside();
    const leaked = await startCapture(rw.first, { device: 'eth0', filter: 'tcp port 80', direction: 'in' });
    const isSaid = async (what: RegExp): Promise<boolean> => what.test((await rw.cli('status')).stdout);
    await host.run('ip', ['link', 'set', 'eth1', 'down']);
    await eventually('status says so', () => isSaid(/uplink eth1 is down/));
    expect(await waysOut(rw, inside)).not.toContain('second');
    await host.run('ip', ['link', 'set', 'eth1', 'up']);
    await eventually('status says that no router is known', () => isSaid(/has no IPv4 default route/));
    const outcomes = await waysOut(rw, inside);
    expect(outcomes.filter((outcome) => !['refused', 'unroutable'].includes(outcome))).toEqual([]);
    await host.run('ip', ['address', 'replace', '2001:db8:0:2::1/64', 'dev', 'eth1', 'nodad']);
    await addSecondRouter(host);
    await eventually('it leaves again', async () => (await waysOut(rw, inside)).join() === 'second,second');
    expect((await leaked.stop()).lines).toEqual([]);
    // Its file is written a little behind that.
    await eventually('status has no more to say', async () => !(await isSaid(/uplink eth1/)));
    // The control: without the uplink, the very same goes by the first.
    await rw.writePolicy('containers/web.yaml', OPEN);
    await eventually('it leaves by the first', async () => (await waysOut(rw, inside)).join() === 'first,first');
  });

  test.each([
    ['by its default route', SECOND],
    ['by its policy', `uplink: eth1\ngateway: [${LINK.router.join(', ')}]\n${OPEN}`],
  ])('goes on when the address of its uplink has gone and come back: the router is known %s', async (_, policy) => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': policy } });
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    const inside = await web.inside();
    expect(await waysOut(rw, inside)).toEqual(['second', 'second']);
    const mark = rw.mark();
    // With the last address the kernel drops the routes by that link, in whatever table, and tells nobody.
    const anew = `ip -4 address flush dev eth1; ip address add ${LINK.host[0]} dev eth1`;
    await rw.bed.host.run('sh', ['-c', anew]);
    await addSecondRouter(rw.bed.host);
    await rw.daemon.child().waitForLine(/repaired: -4 route .* via .* dev eth1/, { after: mark, timeout: 15_000 });
    expect(await waysOut(rw, inside)).toEqual(['second', 'second']);
  });

  test('waits for a link that is not there, which nobody took away', async () => {
    const policy = `uplink: eth7\ngateway: ${LINK.router[0]}\n${OPEN}`;
    const rw = await startTwoUplinks({ config: 'resync: 1\n', policies: { 'containers/web.yaml': policy } });
    const { host } = rw.bed;
    await rw.start(await rw.addContainer('web', { lines: nic(addressesOf(10)) }));
    const mark = rw.mark();
    // Three comparisons' time.
    await sleep(3_500);
    expect(rw.daemon.child().lines.filter((line) => line.includes(' repaired: '))).toEqual([]);
    await rw.statusTells(/uplink eth7 is not there/);
    expect((await rw.cli('status')).stdout).toMatch(/^the kernel holds what the files say$/m);
    expect((await rw.cli('preview')).stdout).toMatch(/^nothing would change/);
    await host.run('ip', ['link', 'set', 'eth1', 'down']);
    await host.run('ip', ['link', 'set', 'eth1', 'name', 'eth7', 'up']);
    const wayOut = async () => (await host.run('ip', ['route', 'show', 'table', 'all', 'proto', '119'])).stdout;
    await eventually('its way out is there', async () => / via \S+ dev eth7 /.test(await wayOut()));
    await host.run('ip', ['route', 'flush', 'table', await tableOf(host), 'proto', '119', 'dev', 'eth7']);
    await eventually('and put back', async () => / via \S+ dev eth7 /.test(await wayOut()));
    await rw.daemon.child().waitForLine(/repaired: .* via .* dev eth7/, { after: mark });
  });

  test('has its rules and routes put back, and leaves those of others alone', async () => {
    const rw = await startTwoUplinks({
      policies: { 'containers/web.yaml': SECOND },
      prepare: async ({ host }) => {
        // The very table that eth1 would get.
        await host.run('ip', ['route', 'add', '203.0.113.0/28', 'via', '192.0.2.130', 'table', '11931']);
        await host.run('ip', ['rule', 'add', 'pref', '11931', 'to', '203.0.113.240/28', 'lookup', '11931']);
      },
    });
    const { host } = rw.bed;
    const foreign = async (): Promise<string[]> => {
      const { stdout } = await host.run('ip', ['route', 'show', 'table', '11931']);
      return [...stdout.split('\n'), ...(await rulesOf(host)).split('\n')].filter(
        (l) => l !== '' && !l.includes('119 '),
      );
    };
    const before = await foreign();
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    const inside = await web.inside();
    expect(await waysOut(rw, inside)).toEqual(['second', 'second']);
    const count = await ownRules(host);
    const table = await tableOf(host);
    for (const family of ['-4', '-6']) {
      await host.run('sh', [
        '-c',
        `ip ${family} rule | sed -n 's/^\\([0-9]*\\):.*proto 119.*/\\1/p' | while read p; do ip ${family} rule del pref $p protocol 119; done`,
      ]);
      await host.run('ip', [family, 'route', 'flush', 'table', table, 'proto', '119']);
    }
    await eventually('the rules are back', async () => (await ownRules(host)) === count);
    await eventually('it leaves again', async () => (await waysOut(rw, inside)).join() === 'second,second');
    expect((await foreign()).filter((line) => before.includes(line))).toEqual(before);
    await rw.stop(web);
    expect(await ownRules(host)).toBe(0);
    expect((await foreign()).join('\n')).toBe(before.join('\n'));
  });

  test("uses its own bits of the marks alone, and gives back the packet's", async () => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': SECOND } });
    const { host } = rw.bed;
    await host.run('nft', ['-f', '-'], {
      input: `table inet others {
        chain before { type filter hook prerouting priority mangle; meta mark set 0x80000042; ct mark set ct mark | 0x80000017; }
        chain after { type filter hook forward priority filter; tcp flags & (syn|ack) == syn meta mark 0x80000042 ct mark & 0x80ffffff == 0x80000017 counter comment "whole"
          tcp flags & (syn|ack) == syn counter comment "all"; }
      }`,
    });
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    expect(await waysOut(rw, await web.inside())).toEqual(['second', 'second']);
    await listen(await web.inside(), PORT);
    const flows = addressesOf(10).map((to, index) => ({ ...PORT, to, source: INTERNET[index] ?? '', timeout: 2_000 }));
    expect(await Promise.all(flows.map((flow) => probe(rw.first, flow)))).toEqual(['allowed', 'allowed']);
    const { stdout } = await host.run('nft', ['list', 'chain', 'inet', 'others', 'after']);
    const packets = [...stdout.matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));
    expect(packets[0]).toBeGreaterThanOrEqual(4);
    expect(packets[0]).toBe(packets[1]);
  });

  test('finds everything as it should be after a restart, and a dead daemon leaves it', async () => {
    const rw = await startTwoUplinks({ policies: { 'containers/web.yaml': `${SECOND}tables: [100]\n` } });
    const { host } = rw.bed;
    const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
    await rw.start(web);
    const routes = async (): Promise<string> => (await host.run('ip', ['route', 'show', 'table', '100'])).stdout;
    expect(await routes()).toMatch(/^198\.51\.100\.10 dev veth\w+ proto 119 /);
    await rw.daemon.stop('SIGKILL');
    const before = await rulesOf(host);
    expect(await waysOut(rw, await web.inside())).toEqual(['second', 'second']);
    await rw.daemon.restart();
    expect(
      rw.daemon
        .log()
        .filter((line) => / ready: /.test(line))
        .at(-1),
    ).toMatch(/1 interfaces enforced, 0 changes/);
    expect(await rulesOf(host)).toBe(before);
    // One that stops while no daemon runs takes its uplink along when the next one starts.
    await rw.daemon.stop('SIGKILL');
    await web.stop();
    await rw.daemon.restart();
    expect(await ownRules(host)).toBe(0);
    expect(await readLeftovers(host)).toEqual([]);
  });
});
