/** One container with a NIC of every kind: each is told as what it is, and keeps to itself what is its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BRIDGE_ROUTES, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { fieldOf, listOf } from '../../sandbox/json.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Outcome, probe, receipts } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';
import { measure } from './throughput.ts';

const POLICY = `
limits: { egress: 20Mbit, ingress: 40Mbit }
egress: { rules: [{ allow: [tcp/80, udp/5001], to: any }] }
ingress: { rules: [{ allow: tcp/22, from: any }] }
interfaces:
  eth1:
    ingress: { rules: [{ allow: [tcp/80, udp/5001], from: any }] }
`;

const key = (index: number, ...lines: readonly string[]): string[] => lines.map((line) => `lxc.net.${index}.${line}`);
const wired = key(3, 'type = veth', 'flags = up', 'name = eth3');

const ROUTED = addressesOf(20)[0];
const BRIDGED = '198.51.100.151';
const OUTSIDE = INTERNET[0];
const MBIT = 1e6;

describe('a container with NICs of several kinds', () => {
  let rw: Routewall;
  let many: Container;
  let other: Container;
  let inside: Place;

  beforeAll(async () => {
    rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      config: 'uplinks: [eth0]\nwires: [{ a: "container:many/eth3", b: "container:other/eth3" }]\n',
      prepare: ({ host }) => createBridge(host),
    });
    other = await rw.addContainer('other', { lines: [...nic(addressesOf(21)), ...wired] });
    many = await rw.addContainer('many', {
      policy: POLICY,
      lines: [
        ...nic([ROUTED]),
        ...key(1, 'type = veth', 'link = br0', 'flags = up', 'name = eth1', 'hwaddr = 02:16:3e:00:00:03'),
        ...key(1, `ipv4.address = ${BRIDGED}/25`),
        ...key(2, 'type = macvlan', 'link = eth0', 'macvlan.mode = bridge', 'flags = up', 'name = mac1'),
        ...key(2, 'ipv4.address = 192.0.2.60/24'),
        ...wired,
      ],
    });
    await rw.addContainer('away', { lines: key(0, 'type = macvlan', 'link = eth0') });
    await rw.start(other);
    await rw.start(many, 2);
    inside = await many.inside();
    await inside.run('ip', ['route', 'add', 'default', 'via', '198.51.100.129', 'dev', 'eth1', 'table', '5']);
    await sendFrom(BRIDGED, 'eth1');
    for (const place of [inside, rw.bed.outside])
      await listen(place, ...[22, 80].map((port) => ({ protocol: 'tcp' as const, port })));
    await eventually('the wire is up', async () => /many\/eth3.* up/.test((await rw.cli('status')).stdout), 20_000);
  });
  afterAll(cleanUp);

  /** What has that source address leaves by that NIC, and all else by the routed one. */
  async function sendFrom(source: string, by: 'eth0' | 'eth1'): Promise<void> {
    await inside.runForResult('ip', ['rule', 'del', 'pref', '100']);
    if (by === 'eth1') await inside.run('ip', ['rule', 'add', 'pref', '100', 'from', source, 'lookup', '5']);
  }

  const out = (source: string, port: number, to: string = OUTSIDE): Promise<Outcome> =>
    probe(inside, { protocol: 'tcp', to, port, source, timeout: 1_500 });
  const into = (to: string, port: number): Promise<Outcome> =>
    probe(rw.bed.outside, { protocol: 'tcp', to, port, source: OUTSIDE, timeout: 1_500 });
  const explained = async (from: string, to: string, port: number): Promise<string> => {
    const { stdout } = await rw.cli('explain', '--from', from, '--to', to, `tcp/${port}`, '-4', '--json');
    return Reflect.get(JSON.parse(stdout), 'verdict') === 'allow' ? 'allowed' : 'dropped';
  };

  it('is told NIC by NIC by list, status, check and map', async () => {
    const all: unknown = JSON.parse((await rw.cli('list', '--json', '-n', 'many')).stdout);
    const [listed] = listOf(all);
    expect(listOf(fieldOf(listed, 'nics')).map((one) => [fieldOf(one, 'name'), fieldOf(one, 'kind')])).toEqual([
      ['eth0', 'routed'],
      ['eth1', 'bridged'],
      ['mac1', 'unmanaged'],
      ['eth3', 'wired'],
    ]);
    expect(fieldOf(listed, 'unenforced')).toEqual(['mac1 (macvlan on eth0)']);
    const status = await rw.statusTells(
      /^many .*eth0 via veth\w+, eth1 via veth\w+, not on mac1 \(macvlan on eth0\) /m,
    );
    expect(status).toMatch(/container:many\/eth3 and container:other\/eth3 +up/);
    expect(status).toMatch(/^away +stopped +not ours +not on #0 \(macvlan on eth0\) /m);
    expect((await rw.cli('list', '-n', 'away')).stdout).toMatch(/^away +stopped +not ours +#0 \(macvlan on eth0\) /m);
    const check = (await rw.cli('check', '-n', 'many')).stdout
      .split('\n')
      .filter((line) => line.includes(': warning: '));
    expect(check).toEqual([
      expect.stringMatching(/mac1 \(macvlan on eth0\): containers\/many\.yaml can't be enforced/),
    ]);
    expect((await rw.cli('map', '-n', 'many')).stderr).toContain('many on mac1 (macvlan on eth0)');
  });

  it('has a policy for each NIC that can have one, and explain says what is so', async () => {
    const tried = [
      ...([22, 80] as const).flatMap((port) => [
        { from: ROUTED, to: OUTSIDE, port, send: () => out(ROUTED, port) },
        { from: BRIDGED, to: OUTSIDE, port, send: () => out(BRIDGED, port) },
        { from: OUTSIDE, to: ROUTED, port, send: () => into(ROUTED, port) },
        { from: OUTSIDE, to: BRIDGED, port, send: () => into(BRIDGED, port) },
      ]),
    ];
    const found = await Promise.all(tried.map(async ({ from, to, port, send }) => [from, to, port, await send()]));
    const said: unknown[] = [];
    for (const { from, to, port } of tried) said.push([from, to, port, await explained(from, to, port)]);
    expect(found).toEqual(said);
    expect(found.map((row) => row[3])).toEqual([
      ...['dropped', 'dropped', 'allowed', 'dropped'],
      ...['allowed', 'allowed', 'dropped', 'allowed'],
    ]);
    const { stdout } = await rw.cli('explain', '--from', 'container:many', '--to', 'host', 'tcp/22', '-4');
    expect(stdout).toMatch(/^drop .*\n.*· many on mac1 \(macvlan on eth0\) +nothing is enforced, since /);
    // So it is: what no policy allows leaves by it.
    expect(await out('192.0.2.60', 22, '192.0.2.2')).toBe('allowed');
  });

  const OTHERS = [
    [BRIDGED, 'eth0', 'eth1'],
    [ROUTED, 'eth1', 'eth0'],
  ] as const;
  const heard = async (source: string): Promise<number> =>
    (await receipts(rw.bed.outside)).filter(({ from }) => from === source).length;

  it("sends by no NIC from another's address", async () => {
    for (const [source, by, back] of OTHERS) {
      const before = await heard(source);
      await sendFrom(source, by);
      expect([source, by, await out(source, 80)]).toEqual([source, by, 'dropped']);
      expect(await heard(source)).toBe(before);
      await sendFrom(source, back);
      expect([source, back, await out(source, 80)]).toEqual([source, back, 'allowed']);
      expect(await heard(source)).toBe(before + 1);
    }
  });

  it('does so where nothing stands in its way', async () => {
    const { host } = rw.bed;
    await rw.daemon.stop('SIGKILL');
    for (const family of ['inet', 'arp', 'bridge']) await host.run('nft', ['delete', 'table', family, 'routewall']);
    for (const [source, by, back] of OTHERS) {
      const before = await heard(source);
      await sendFrom(source, by);
      await out(source, 80);
      expect([source, by, (await heard(source)) - before]).toEqual([source, by, 1]);
      await sendFrom(source, back);
    }
    await rw.daemon.restart();
  });

  it.each([
    { direction: 'egress', limit: 20 * MBIT },
    { direction: 'ingress', limit: 40 * MBIT },
  ] as const)('is limited on its bridge too: $direction', async ({ direction, limit }) => {
    const { outside } = rw.bed;
    await inside.run('ip', ['rule', 'add', 'pref', '99', 'to', OUTSIDE, 'lookup', '5']);
    const ends =
      direction === 'egress'
        ? { from: inside, to: outside, address: OUTSIDE }
        : { from: outside, to: inside, address: BRIDGED };
    const measured = await measure({ ...ends, protocol: 'udp', offered: limit * 1.5 });
    expect(measured).toBeGreaterThan(limit * 0.85);
    expect(measured).toBeLessThan(limit * 1.15);
    await inside.run('ip', ['rule', 'del', 'pref', '99']);
  });

  it('leaves nothing', async () => {
    await rw.stop(many);
    await rw.stop(other);
    await eventually('nothing is left', async () => (await readLeftovers(rw.bed.host)).length === 0, 20_000);
  });
});
