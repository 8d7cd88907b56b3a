/** What others do to bridge, ports and rules is mended, and lets nothing through meanwhile that no policy allows. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { type Capture, startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { withoutFilled } from '../../sandbox/nft-listing.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { OPEN, type Routewall, startRoutewall } from './routewall.ts';

const SERVICE = { protocol: 'tcp', port: 80 } as const;

const NAMES = ['web', 'mail', 'lone', 'flood'] as const;
type Name = (typeof NAMES)[number];

/** lone and flood may meet nobody: their ports are isolated. flood sends all the time. */
const APART = 'egress: { default: drop }\n';
const POLICIES: Readonly<Record<Name, string>> = { web: OPEN, mail: OPEN, lone: APART, flood: APART };
const addressOf = (name: Name): string => `198.51.100.${150 + NAMES.indexOf(name)}`;
const macOf = (name: Name): string => `02:16:3e:00:00:0${NAMES.indexOf(name)}`;

const aMoment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

const EVERYWHERE = ['web', 'mail', 'lone', 'outside'] as const;
type Hearer = (typeof EVERYWHERE)[number];

describe('bridged containers, whatever others do', () => {
  let rw: Routewall;
  const containers = new Map<Name, Container>();
  const places = new Map<Name, Place>();
  const veths = new Map<Name, string>();

  beforeAll(async () => {
    rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      prepare: async ({ host }) => createBridge(host),
    });
    for (const name of NAMES) {
      // A kernel's own name, and one that no pattern of the guard matches.
      const extra = name === 'mail' ? [] : [`veth.pair = ${name}0`];
      const lines = bridgedNic([addressOf(name)], { hwaddr: macOf(name), extra });
      const container = await rw.addContainer(name, { policy: POLICIES[name], lines });
      await rw.start(container);
      containers.set(name, container);
      places.set(name, await container.inside());
      veths.set(name, name === 'mail' ? await vethOf(macOf(name)) : `${name}0`);
    }
    await listen(rw.bed.outside, SERVICE);
    for (const name of ['web', 'mail'] as const) await listen(of(places, name), SERVICE);
    const flood = of(places, 'flood');
    for (const name of ['web', 'mail', 'lone'] as const)
      await flood.run('ip', ['neigh', 'add', addressOf(name), 'lladdr', macOf(name), 'dev', 'eth0']);
    for (const to of [...(['web', 'mail', 'lone'] as const).map(addressOf), INTERNET[0]])
      flood.spawn('ping', ['-q', '-i', '0.02', to]);
    flood.spawn('sh', ['-c', `while :; do arping -q -c 20 -w 1 -I eth0 ${addressOf('lone')}; done`]);
  });
  afterAll(cleanUp);

  function of<T>(map: ReadonlyMap<Name, T>, name: Name): T {
    const found = map.get(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  }

  /** By what the bridge learned of its port. */
  async function vethOf(mac: string): Promise<string> {
    let found = '';
    await eventually('the bridge knows its port', async () => {
      const { stdout } = await rw.bed.host.run('bridge', ['fdb', 'show', 'br', BRIDGE]);
      found = new RegExp(`^${mac} dev (\\S+) (?!.*permanent)`, 'm').exec(stdout)?.[1] ?? '';
      return found !== '';
    });
    return found;
  }

  const isServed = async (): Promise<boolean> => {
    const ways = [
      [of(places, 'web'), addressOf('mail')],
      [of(places, 'mail'), INTERNET[0]],
      [rw.bed.outside, addressOf('web')],
    ] as const;
    const outcomes = await Promise.all(ways.map(([from, to]) => probe(from, { ...SERVICE, to, timeout: 1_500 })));
    return outcomes.every((outcome) => outcome === 'allowed');
  };

  async function isolated(): Promise<readonly Name[]> {
    const { stdout } = await rw.bed.host.run('bridge', ['-d', 'link', 'show']);
    return NAMES.filter(
      (name) => new RegExp(`: ${of(veths, name)}@[\\s\\S]*?isolated (on|off)`).exec(stdout)?.[1] === 'on',
    );
  }

  /** nft lists elements in no order, and a bridge takes the lowest hardware address of its ports, new with each start. */
  async function bridgeRules(): Promise<string> {
    const { host } = rw.bed;
    const link = await host.run('ip', ['link', 'show', 'dev', BRIDGE]);
    const [, mac = ''] = /link\/ether (\S+)/.exec(link.stdout) ?? [];
    const { stdout } = await host.runForResult('nft', ['-s', 'list', 'table', 'bridge', 'routewall']);
    const lines = withoutFilled(stdout)
      .replaceAll(mac, 'BRIDGE')
      .split(/,\s*|\n|elements = [{] | [}]\n/);
    return lines
      .map((line) => line.trim())
      .sort()
      .join('\n');
  }

  /** Of what flood sends. */
  const startCaptures = (where: readonly Hearer[]): Promise<Capture[]> =>
    Promise.all(
      where.map((one) =>
        one === 'outside'
          ? startCapture(rw.bed.outside, { device: 'any', filter: `src host ${addressOf('flood')}`, direction: 'in' })
          : startCapture(of(places, one), {
              device: 'eth0',
              filter: `ether src ${macOf('flood')} or src host ${addressOf('flood')}`,
              direction: 'in',
            }),
      ),
    );

  /** `where`: who shall hear nothing of flood meanwhile. */
  async function quiet(where: readonly Hearer[], work: () => Promise<void>): Promise<void> {
    const captures = await startCaptures(where);
    await work();
    const heard = await Promise.all(captures.map((capture) => capture.stop()));
    expect(heard.map(({ lines }, index) => [where[index], lines])).toEqual(where.map((one) => [one, []]));
  }

  async function healed(rules: string): Promise<void> {
    await eventually('the ports are as they were', async () => (await isolated()).join() === 'lone,flood', 15_000);
    await expect.poll(bridgeRules, { timeout: 10_000 }).toBe(rules);
    await eventually('what is allowed passes', isServed, 15_000);
  }

  it('the flood is one: without rules and isolation all would hear it', async () => {
    expect([await isServed(), await isolated()]).toEqual([true, ['lone', 'flood']]);
    await quiet(EVERYWHERE, async () => expect(await isServed()).toBe(true));
    const rules = await bridgeRules();
    await rw.daemon.stop('SIGKILL');
    const { host } = rw.bed;
    const capture = await startCapture(of(places, 'lone'), { device: 'eth0', filter: `ether src ${macOf('flood')}` });
    await host.run('nft', ['flush', 'ruleset']);
    // Isolation holds between the two that have it.
    await quiet(['lone'], async () => expect(await isServed()).toBe(true));
    await host.run('ip', ['link', 'set', 'dev', 'flood0', 'type', 'bridge_slave', 'isolated', 'off']);
    await eventually('it is heard', () => capture.lines().some((line) => line.includes('echo request')));
    await capture.stop();
    await rw.daemon.restart();
    await healed(rules);
    // What it began meanwhile is ended.
    await eventually('nobody hears it', async () => {
      const captures = await startCaptures(EVERYWHERE);
      await aMoment();
      const heard = await Promise.all(captures.map((one) => one.stop()));
      return heard.every(({ lines }) => lines.length === 0);
    });
  });

  const EDITS: readonly (readonly [string, (host: Place) => Promise<unknown>])[] = [
    [
      'the port is in no set',
      (host) => host.run('nft', ['delete', 'element', 'bridge', 'routewall', 'ports', '{ "flood0" }']),
    ],
    ['no port is', (host) => host.run('nft', ['flush', 'set', 'bridge', 'routewall', 'ports'])],
    ['nobody has an address', (host) => host.run('nft', ['flush', 'set', 'bridge', 'routewall', 'owned4'])],
    ['no policy is led to', (host) => host.run('nft', ['flush', 'map', 'inet', 'routewall', 'from_bridged4'])],
    [
      'isolation is taken off',
      (host) => host.run('ip', ['link', 'set', 'dev', 'flood0', 'type', 'bridge_slave', 'isolated', 'off']),
    ],
    [
      'isolation is put on',
      (host) => host.run('ip', ['link', 'set', 'dev', 'web0', 'type', 'bridge_slave', 'isolated', 'on']),
    ],
    [
      'ports leave the bridge, and come back',
      async (host) => {
        for (const veth of ['flood0', 'web0', 'lone0']) await host.run('ip', ['link', 'set', 'dev', veth, 'nomaster']);
        await aMoment();
        for (const veth of ['flood0', 'web0', 'lone0'])
          await host.run('ip', ['link', 'set', 'dev', veth, 'master', BRIDGE]);
      },
    ],
    [
      'a port spends a while on another bridge',
      async (host) => {
        await host.run('ip', ['link', 'add', 'br1', 'type', 'bridge']);
        await host.run('ip', ['link', 'set', 'br1', 'up']);
        for (const veth of ['flood0', 'lone0']) await host.run('ip', ['link', 'set', 'dev', veth, 'master', 'br1']);
        await aMoment();
        for (const veth of ['flood0', 'lone0']) await host.run('ip', ['link', 'set', 'dev', veth, 'master', BRIDGE]);
        await host.run('ip', ['link', 'del', 'br1']);
      },
    ],
    [
      'the bridge is deleted, and made again',
      async (host) => {
        await host.run('ip', ['link', 'del', BRIDGE]);
        await aMoment();
        await createBridge(rw.bed.host);
        for (const veth of veths.values()) await host.run('ip', ['link', 'set', 'dev', veth, 'master', BRIDGE]);
      },
    ],
  ];

  it.each(EDITS)('%s: nothing of the flood is heard, and all is put back', async (_, edit) => {
    const rules = await bridgeRules();
    await quiet(EVERYWHERE, async () => {
      await edit(rw.bed.host);
      await healed(rules);
    });
  });

  it('a daemon that is killed at any moment leaves it shut, and the next one right', async () => {
    const rules = await bridgeRules();
    await quiet(['mail', 'lone', 'outside'], async () => {
      for (const wait of [0, 5, 20, 60]) {
        const web = of(containers, 'web');
        const starting = web.stop('kill').then(() => web.start());
        await new Promise((resolve) => setTimeout(resolve, wait));
        await rw.daemon.stop('SIGKILL');
        await starting;
        await rw.daemon.restart();
      }
      places.set('web', await of(containers, 'web').inside());
      await listen(of(places, 'web'), SERVICE);
      await healed(rules);
    });
  });

  it('without a daemon: the static rules shut all, the last ones serve', async () => {
    const rules = await bridgeRules();
    const state = rw.env['STATE_DIRECTORY'] ?? '';
    const lastGood = join(state, 'last-good.nft');
    await rw.daemon.stop();
    const nothing = join(state, 'nothing.json');
    await writeFile(nothing, '{"containers":{},"links":[]}');
    const { stdout } = await rw.cli('render', '--what', 'nft', '--state', nothing);
    // As the guard loads it, but that nothing passes before either.
    const load = (text: string) => rw.bed.host.run('nft', ['-f', '-'], { input: `flush ruleset\n${text}` });
    await quiet(EVERYWHERE, async () => {
      await load(stdout);
      await aMoment();
      const ways = [
        [of(places, 'web'), addressOf('mail')],
        [of(places, 'web'), INTERNET[0]],
        [rw.bed.outside, addressOf('mail')],
      ] as const;
      const outcomes = ways.map(([from, to]) => probe(from, { ...SERVICE, to, timeout: 1_000 }));
      expect(await Promise.all(outcomes)).not.toContain('allowed');
      await load(await readFile(lastGood, 'utf8'));
      await eventually('what was allowed passes', isServed, 15_000);
      expect(await isolated()).toEqual(['lone', 'flood']);
      await rw.daemon.restart();
      await healed(rules);
    });
  });

  it('nothing is left when all have stopped', async () => {
    for (const container of containers.values()) await rw.stop(container, 'kill');
    await expect.poll(() => readLeftovers(rw.bed.host), { timeout: 5_000 }).toEqual([]);
  });
});
