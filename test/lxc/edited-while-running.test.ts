/** The configuration of who runs is edited, which LXC reads again at the next start only: until then nothing opens. */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { attack } from './hostile.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterAll(cleanUp);

const OWN = addressesOf(10);
const UDP = { protocol: 'udp', port: 9 } as const;
/** Its name is none that the guard's patterns know. */
const ROUTED = nic(OWN, { extra: ['veth.pair = web0'] });
const BRIDGED = bridgedNic(['198.51.100.150'], { hwaddr: '02:16:3e:00:00:66' });
const SHUT = 'egress: { default: drop }\n';

interface Edited {
  readonly routewall: Routewall;
  readonly container: Container;
  readonly inside: Place;
  /** Edits what runs, and waits until that has been read. */
  edit(change: (text: string) => string): Promise<void>;
  /** As it was before. */
  restore(): Promise<void>;
}

async function start(lines: readonly string[], isBridged = false): Promise<Edited> {
  const routewall = await startRoutewall(
    isBridged ? { host: { routedPrefixes: BRIDGE_ROUTES }, prepare: ({ host }) => createBridge(host) } : {},
  );
  const container = await routewall.addContainer('web', { lines, policy: SHUT });
  await routewall.start(container);
  for (const place of [routewall.bed.host, routewall.bed.outside]) await listen(place, UDP);
  const text = await readFile(container.configFile, 'utf8');
  const write = async (changed: string, said: RegExp): Promise<void> => {
    const after = routewall.mark();
    await writeFile(container.configFile, changed);
    await routewall.daemon.child().waitForLine(said, { after });
  };
  return {
    routewall,
    container,
    inside: await container.inside(),
    edit: async (change) => {
      await write(change(text), /web\/config:1:1: warning: has no NIC/);
      // Whatever follows from it.
      await sleep(300);
    },
    restore: () => write(text, /no longer: .*web\/config:1:1: warning: has no NIC/),
  };
}

const EDITS = {
  'without the NIC': (text: string) => text.replace(/^lxc\.net.*\n/gm, ''),
  empty: () => '',
  "in another's network namespace": (text: string) => `${text}lxc.namespace.share.net = other\n`,
  'with a macvlan': (text: string) => text.replace('type = veth', 'type = macvlan').replace(/^.*veth\..*\n/gm, ''),
};

async function leaked({ routewall, container, inside }: Edited): Promise<string[]> {
  const { host, outside } = routewall.bed;
  const veth = await container.hostVeth();
  const hostMac = (await host.run('cat', [`/sys/class/net/${veth}/address`])).stdout.trim();
  await attack({ place: inside, hostMac, own: OWN }, [
    [
      'IPv4, its own and another',
      '[E/IP(src=s,dst=d)/UDP(sport=7,dport=9)/M for s in (ME4,"198.51.100.77") for d in ("192.0.2.1","203.0.113.80")]',
    ],
    ['IPv6', '[E/IPv6(src=ME6,dst=d)/UDP(sport=7,dport=9)/M for d in ("2001:db8:0:1::1","2001:db8:ffff::80")]'],
  ]);
  await sleep(500);
  return [...(await receipts(host)), ...(await receipts(outside))].map(({ from, to }) => `${from} > ${to}`);
}

describe('routed', () => {
  let edited: Edited;
  beforeAll(async () => {
    edited = await start(ROUTED);
  });
  afterAll(cleanUp);

  test.each(Object.entries(EDITS))('it stays shut, %s, with and without a panic', async (_, change) => {
    const { routewall } = edited;
    await edited.edit(change);
    expect(await leaked(edited)).toEqual([]);
    await routewall.statusTells(/keeps its addresses and rules until it stops/);
    expect((await routewall.cli('panic', 'on')).exitCode).toBe(0);
    expect(await leaked(edited)).toEqual([]);
    expect((await routewall.cli('panic', 'off')).exitCode).toBe(0);
    await edited.restore();
  });
});

describe('on a bridge', () => {
  let edited: Edited;
  beforeAll(async () => {
    edited = await start(BRIDGED, true);
  });
  afterAll(cleanUp);

  test.each([
    ...Object.entries(EDITS),
    ['without its bridge', (text: string) => text.replace(/^lxc\.net\.0\.link.*\n/m, '')] as const,
  ])('a port stays shut, %s', async (_, change) => {
    await edited.edit(change);
    for (const to of ['198.51.100.129', '203.0.113.80'])
      expect(await probe(edited.inside, { ...UDP, to }), to).toBe('dropped');
    await edited.restore();
  });
});

test('policy edits still count for it, and the next start is by the new text', async () => {
  const edited = await start(ROUTED);
  const { routewall, container, inside } = edited;
  await edited.edit(EDITS['without the NIC']);
  await routewall.writePolicy('containers/web.yaml', OPEN);
  const target = { ...UDP, to: '203.0.113.80' };
  await eventually('its policy opens it', async () => (await probe(inside, target)) === 'allowed');
  await routewall.writePolicy('containers/web.yaml', SHUT);
  await eventually('and shuts it', async () => (await probe(inside, target)) === 'dropped');
  await routewall.stop(container);
  await eventually('nothing is kept', async () => !(await routewall.cli('status')).stdout.includes('until it stops'));
  expect((await routewall.cli('list')).stdout).not.toContain('198.51.100.10');
});

test('made anew on a bridge under the same name while the daemon was stopped, it is what it is now', async () => {
  const routewall = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    prepare: ({ host }) => createBridge(host),
  });
  await listen(routewall.bed.outside, UDP);
  const container = await routewall.addContainer('web', { lines: ROUTED, policy: OPEN });
  await routewall.start(container);
  const after = routewall.mark();
  const { pid } = routewall.daemon.child();
  process.kill(pid, 'SIGSTOP');
  try {
    await container.stop('kill');
    const text = await readFile(container.configFile, 'utf8');
    const lines = [...BRIDGED, 'lxc.net.0.veth.pair = web0'].join('\n');
    await writeFile(container.configFile, `${EDITS['without the NIC'](text)}${lines}\n`);
    await container.start();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const inside = await container.inside();
  const to = '203.0.113.80';
  await eventually('it has the rules of its own kind', async () => (await probe(inside, { ...UDP, to })) === 'allowed');
  expect(routewall.daemon.child().lines.slice(after).join('\n')).not.toContain('has no NIC');
});
