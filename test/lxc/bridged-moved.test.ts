/** Where root in a container on a bridge takes its interface, it stays bound: to its policy, its hardware address and its addresses. */
import { afterEach, describe, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createPlace, type Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { ALICE, FOREIGN, HOST, INTERNET, MALLORY } from './bridged-parties.ts';
import { OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const WEB = { protocol: 'tcp', port: 80 } as const;
const OTHER = { protocol: 'tcp', port: 81 } as const;
const DATAGRAM = { protocol: 'udp', port: 80 } as const;
const POLICY = 'egress:\n  rules:\n    - allow: [tcp/80, udp/80]\n      to: any\n';
const OTHERS = [FOREIGN['an unused address'], ALICE.own].flat();
const OWN = [...MALLORY.own].sort();

interface Arena {
  readonly rw: Routewall;
  readonly alice: Place;
  readonly mallory: Place;
  /** Its host-side name. */
  readonly veth: string;
  /** A network namespace that mallory's root made, and the id of a process there, as mallory sees it. */
  readonly nested: Place;
  readonly pid: string;
}

async function openArena(): Promise<Arena> {
  const rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    policies: { 'containers/mallory.yaml': POLICY, 'containers/alice.yaml': OPEN },
    prepare: ({ host }) => createBridge(host),
  });
  const mallory = await rw.addContainer('mallory', { lines: bridgedNic(MALLORY.own, { hwaddr: MALLORY.mac }) });
  const alice = await rw.addContainer('alice', { lines: bridgedNic(ALICE.own, { hwaddr: ALICE.mac }) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  await listen(rw.bed.outside, WEB, OTHER, DATAGRAM);
  const inside = await mallory.inside();
  const child = inside.spawn('unshare', ['-n', 'sh', '-c', 'echo in $$; exec sleep 1000']);
  const pid = /\d+/.exec(await child.waitForLine(/^in \d+/))?.[0] ?? '';
  const nested = createPlace('nested', ['nsenter', '-t', pid, '-n', '--']);
  return { rw, alice: await alice.inside(), mallory: inside, veth: await mallory.hostVeth(), nested, pid };
}

const ip = async (place: Place, lines: readonly string[]): Promise<void> => {
  for (const line of lines) await place.run('ip', line.split(' '));
};

/** All addresses that there are, and the way out. */
const settle = (place: Place, dev: string): Promise<void> =>
  ip(place, [
    `link set ${dev} up`,
    ...[...MALLORY.own, ...OTHERS].map(
      (address) =>
        `address add ${address}${address.includes(':') ? '/64' : '/25'} dev ${dev}${address.includes(':') ? ' nodad' : ''}`,
    ),
    ...HOST.map((via) => `route replace default via ${via} dev ${dev}`),
  ]);

const reach = (from: Place, sources: readonly string[], port: typeof WEB | typeof OTHER): Promise<string[]> =>
  Promise.all(
    INTERNET.map((to, family) => probe(from, { ...port, to, source: sources[family] ?? '', timeout: 4_000 })),
  );

/** From which of all addresses a datagram arrives. */
async function heard({ rw }: Arena, from: Place): Promise<string[]> {
  const before = (await receipts(rw.bed.outside)).length;
  const send = (source: string) =>
    probe(from, { ...DATAGRAM, source, to: INTERNET[source.includes(':') ? 1 : 0], timeout: 1_500 });
  await Promise.all([...OTHERS, ...OWN].map(send));
  const fresh = (await receipts(rw.bed.outside)).slice(before).filter(({ protocol }) => protocol === 'udp');
  return [...new Set(fresh.map(({ from: source }) => source))].sort();
}

async function expectBound(arena: Arena, from: Place): Promise<void> {
  expect(await heard(arena, from)).toEqual(OWN);
  expect(await reach(from, MALLORY.own, WEB)).toEqual(['allowed', 'allowed']);
  expect(await reach(from, MALLORY.own, OTHER)).toEqual(['dropped', 'dropped']);
  expect(await reach(arena.alice, ALICE.own, OTHER)).toEqual(['allowed', 'allowed']);
}

/** The same, where nothing stands in its way: what was shown is the tables' doing. */
async function expectFree(arena: Arena, from: Place): Promise<void> {
  await arena.rw.daemon.stop('SIGKILL');
  for (const family of ['inet', 'arp', 'bridge'])
    await arena.rw.bed.host.run('nft', ['delete', 'table', family, 'routewall']);
  await eventually('it sends as others', async () => {
    const arrived = await heard(arena, from);
    return OTHERS.filter((address) => arrived.includes(address)).length > 1;
  });
  expect(await reach(from, MALLORY.own, OTHER)).toEqual(['allowed', 'allowed']);
}

describe('a hostile root in a container on a bridge', () => {
  test('moves its interface to a namespace of its own', async () => {
    const arena = await openArena();
    const { rw, mallory, nested, pid } = arena;
    await ip(mallory, [`link set eth0 netns ${pid}`]);
    await ip(nested, ['link set eth0 name any0']);
    await settle(nested, 'any0');
    await expectBound(arena, nested);
    // Also for a daemon that reads everything anew.
    await rw.daemon.restart('SIGKILL');
    await expectBound(arena, nested);
    await expectFree(arena, nested);
    await nested.close();
  });

  test('deletes its interface: no rule names it any more, and the sibling notices nothing', async () => {
    const { rw, alice, mallory, veth, nested } = await openArena();
    const isNamed = async (): Promise<boolean> =>
      (await rw.bed.host.run('nft', ['list', 'ruleset'])).stdout.includes(`"${veth}"`);
    expect(await isNamed()).toBe(true);
    await ip(mallory, ['link del eth0']);
    await eventually('no rule names it', async () => !(await isNamed()));
    expect(await reach(alice, ALICE.own, OTHER)).toEqual(['allowed', 'allowed']);
    await nested.close();
  });

  test('makes its interface the way out of another one, by a bridge of its own', async () => {
    const arena = await openArena();
    const { mallory, nested, pid } = arena;
    await ip(mallory, [
      'address flush dev eth0',
      'link add own0 type bridge',
      `link add inner0 type veth peer name any0 netns ${pid}`,
      'link set eth0 master own0',
      'link set inner0 master own0',
      ...['own0', 'inner0', 'eth0'].map((dev) => `link set ${dev} up`),
    ]);
    await settle(nested, 'any0');
    // Frames bear the other interface's hardware address.
    expect(await heard(arena, nested)).toEqual([]);
    // Those of its bridge's ports must not be the one that it forges.
    await ip(mallory, ['link set eth0 address 02:16:3e:00:00:67', 'link set inner0 address 02:16:3e:00:00:68']);
    await ip(nested, [`link set any0 address ${MALLORY.mac}`]);
    await expectBound(arena, nested);
    await expectFree(arena, nested);
    await nested.close();
  });
});
