/** A sealed container on a bridge sends and gets nothing, ARP included; its neighbours, and a routed one, are the controls. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

const SERVICE = { protocol: 'tcp', port: 80 } as const;

const PARTIES = ['web', 'mail', 'routed', 'host', 'outside'] as const;
type Party = (typeof PARTIES)[number];

const ADDRESSES: Readonly<Record<Party, readonly [string, string]>> = {
  web: ['198.51.100.150', '2001:db8:200::150'],
  mail: ['198.51.100.160', '2001:db8:200::160'],
  routed: addressesOf(10),
  host: ['198.51.100.129', '2001:db8:200::1'],
  outside: INTERNET,
};

const WAYS = PARTIES.flatMap((from) =>
  PARTIES.filter((to) => to !== from && [from, to].some((end) => end !== 'host' && end !== 'outside')).flatMap((to) =>
    ([0, 1] as const).map((family) => ({ from, to, family })),
  ),
);
type Way = (typeof WAYS)[number];
const titleOf = ({ from, to, family }: Way): string => `${from} > ${to} ${family === 0 ? 'IPv4' : 'IPv6'}`;

describe('a panic on a bridge', () => {
  let rw: Routewall;
  const places = new Map<Party, Place>();
  const containers = new Map<Party, Container>();

  beforeAll(async () => {
    rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      prepare: async ({ host }) => createBridge(host),
    });
    const lines = {
      // As LXC names it, and by a name that no pattern of the guard matches.
      web: bridgedNic(ADDRESSES.web, { hwaddr: '02:16:3e:00:00:01' }),
      mail: bridgedNic(ADDRESSES.mail, { hwaddr: '02:16:3e:00:00:02', extra: ['veth.pair = mail0'] }),
      routed: nic(ADDRESSES.routed),
    };
    for (const [name, config] of Object.entries(lines) as [Party, string[]][]) {
      const container = await rw.addContainer(name, { policy: OPEN, lines: config });
      containers.set(name, container);
      await rw.start(container);
      places.set(name, await container.inside());
    }
    places.set('host', rw.bed.host).set('outside', rw.bed.outside);
    for (const place of places.values()) await listen(place, SERVICE);
  });
  afterAll(cleanUp);

  function of<T>(map: ReadonlyMap<Party, T>, party: Party): T {
    const found = map.get(party);
    if (found === undefined) throw new Error(`no ${party}`);
    return found;
  }

  async function passing(): Promise<string[]> {
    const tried = await Promise.all(
      WAYS.map(async (way) => {
        const target = { ...SERVICE, to: ADDRESSES[way.to][way.family], timeout: 1_000 };
        return (await probe(of(places, way.from), target)) === 'allowed' ? [titleOf(way)] : [];
      }),
    );
    return tried.flat();
  }

  const waysWithout = (...parties: readonly Party[]): string[] =>
    WAYS.filter(({ from, to }) => ![from, to].some((end) => parties.includes(end))).map(titleOf);

  /** What passes while everybody looks for everybody anew, and each frame that comes to `party` meanwhile. */
  async function passingAndHeard(party: Party): Promise<[passing: string[], heard: readonly string[]]> {
    const capture = await startCapture(of(places, party), { device: 'eth0', direction: 'in' });
    const found = await askAround();
    return [found, (await capture.stop()).lines];
  }

  /** ARP and neighbour solicitations of everybody for everybody, whatever their caches hold. */
  async function askAround(): Promise<string[]> {
    for (const [name, place] of places) if (name !== 'outside') await place.run('ip', ['neigh', 'flush', 'all']);
    return await passing();
  }

  async function done(...words: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await rw.cli(...words);
    expect({ words, exitCode, stderr }).toMatchObject({ words, exitCode: 0 });
    return stdout;
  }

  const panicTables = async (): Promise<string[]> =>
    (await rw.bed.host.run('nft', ['list', 'tables'])).stdout.split('\n').filter((line) => line.includes('_panic'));

  /** Who asked for a neighbour in vain asks again within a second. */
  async function isBack(): Promise<void> {
    expect(await panicTables()).toEqual([]);
    await expect.poll(passing, { timeout: 10_000 }).toEqual(waysWithout());
  }

  it('what is open before it passes everywhere', async () => {
    expect(await passing()).toEqual(waysWithout());
    expect(await panicTables()).toEqual([]);
  });

  it('seals one by name: nothing comes to it or from it, not even ARP; what was open ends, and off gives it back', async () => {
    const flows: Flow[] = [];
    for (const [from, to] of [
      ['outside', 'web'],
      ['web', 'mail'],
      ['mail', 'outside'],
    ] as const)
      flows.push(await openFlow(of(places, from), { ...SERVICE, to: ADDRESSES[to][0], timeout: 3_000 }));
    expect(await done('panic', 'on', '-n', 'web')).toMatch(/^panic: web is sealed since/);
    expect(await Promise.all(flows.map((flow) => flow.beat()))).toEqual([
      ...[expect.stringMatching(/silent|closed/), expect.stringMatching(/silent|closed/), 'alive'],
    ]);
    expect(await passingAndHeard('web')).toEqual([waysWithout('web'), []]);
    // What it sends: the control is that it did, and that its neighbour's the same is heard.
    const [sent, heard] = await Promise.all([
      startCapture(of(places, 'web'), { device: 'eth0', direction: 'out', filter: 'arp' }),
      startCapture(of(places, 'mail'), { device: 'eth0', direction: 'in', filter: 'arp' }),
    ]);
    await askAround();
    expect((await sent.stop()).lines.length).toBeGreaterThan(0);
    const asked = (await heard.stop()).lines;
    expect(asked.filter((line) => line.includes(`tell ${ADDRESSES.web[0]}`))).toEqual([]);
    expect(asked.length).toBeGreaterThan(0);
    const explained = await rw.cli('explain', '--from', 'container:web', '--to', 'container:mail', 'http');
    expect(explained).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/^drop[\s\S]*panic of web/) });
    expect((await rw.cli('explain', '--from', 'host', '--to', 'container:mail', 'http')).stdout).toMatch(/^allow/);
    await rw.statusTells(/panic: web is sealed since/);
    expect(await done('list')).toMatch(/^web .*sealed by panic/m);
    await done('panic', 'off', '-n', 'web');
    await isBack();
  });

  it('a routed one gets no ARP either, and the host none of it', async () => {
    await done('panic', 'on', '-n', 'routed');
    expect(await passingAndHeard('routed')).toEqual([waysWithout('routed'), []]);
    const inside = of(places, 'routed');
    await inside.run('ip', ['neigh', 'flush', 'all']);
    expect(await probe(inside, { ...SERVICE, to: INTERNET[0], timeout: 1_000 })).not.toBe('allowed');
    const gateway = async (): Promise<string> => (await inside.run('ip', ['neigh', 'show', '169.254.0.1'])).stdout;
    expect(await gateway()).not.toContain('lladdr');
    await done('panic', 'off', '-n', 'routed');
    await isBack();
    expect(await gateway()).toContain('lladdr');
  });

  it('all, without a daemon; through its start, its death, a flush, and a container that starts meanwhile', async () => {
    const lastGood = join(rw.env['STATE_DIRECTORY'] ?? '', 'last-good.nft');
    const kept = async (): Promise<string> => await readFile(lastGood, 'utf8').catch(() => '');
    await eventually('the rules are kept for the next boot', async () => (await kept()).includes('"mail0"'), 10_000);
    await rw.daemon.stop('SIGKILL');
    const told = await rw.cli('panic', 'on');
    expect(told).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('no daemon answers') });
    expect(await passingAndHeard('mail')).toEqual([[], []]);
    const { host } = rw.bed;
    // What the next boot loads: those of the panic alone would do.
    const seals = (await kept()).split('\n# panic\n')[1] ?? '';
    await host.run('nft', ['-f', '-'], { input: `flush ruleset\n${seals}` });
    expect(await passingAndHeard('mail')).toEqual([[], []]);
    await rw.daemon.restart();
    expect(await passingAndHeard('web')).toEqual([[], []]);
    for (const attack of [
      'flush ruleset',
      'delete table bridge routewall_panic',
      'delete table arp routewall_panic',
      'flush set bridge routewall_panic sealed',
    ]) {
      await host.runForResult('nft', [attack]);
      await eventually(`put back after ${attack}`, async () => {
        const { stdout } = await host.run('nft', ['list', 'ruleset']);
        const [, table = ''] = /^table bridge routewall_panic \{([\s\S]*?)^\}/m.exec(stdout) ?? [];
        return /"mail0"/.test(table) && /"veth/.test(table) && stdout.includes('table arp routewall_panic');
      });
    }
    const web = of(containers, 'web');
    await rw.stop(web);
    await rw.start(web);
    places.set('web', await web.inside());
    await listen(of(places, 'web'), SERVICE);
    expect(await passingAndHeard('web')).toEqual([[], []]);
    await done('panic', 'off');
    await isBack();
  });
});

it('where iptables serves, a panic says whom it does not reach', async () => {
  const rw = await startRoutewall({ config: 'backend: iptables\n' });
  await rw.addContainer('port', { policy: OPEN, lines: bridgedNic(ADDRESSES.web) });
  await rw.addContainer('routed', { policy: OPEN, lines: nic(ADDRESSES.routed) });
  const told = await rw.cli('panic', 'on');
  expect([told.exitCode, told.stderr]).toEqual([
    1,
    expect.stringMatching(/^not sealed, .*: port; see \/usr\/share\/doc\/routewall\/bridged.md/),
  ]);
  expect(await rw.cli('panic', 'off')).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await rw.cli('panic', 'on', '-n', 'routed')).toMatchObject({ exitCode: 0, stderr: '' });
});
