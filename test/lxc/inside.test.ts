/** What root inside a container does to its own interfaces changes nothing of what it may do, nor of what others have. */
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createPlace, type Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { containerState, expectedState, readOwnState } from './kernel-state.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const MALLORY = addressesOf(66);
const ALICE = addressesOf(10);
const SERVERS = ['203.0.113.80', '2001:db8:ffff::80'];
const WEB = { protocol: 'tcp', port: 80 } as const;
const OTHER = { protocol: 'tcp', port: 81 } as const;
const FOREIGN = [...ALICE, '198.51.100.77', '2001:db8:100::77', '192.0.2.77', '203.0.113.99', '2001:db8:abcd::9'];
const POLICY = 'egress:\n  rules:\n    - allow: [tcp/80, udp/80]\n      to: any\n';
const DATAGRAM = { protocol: 'udp', port: 80 } as const;
const nodad = (address: string): string => (address.includes(':') ? ' nodad' : '');
/** IPv6 addresses go with an interface that is set down. */
const gateways = (dev: string): string[] => [
  ...MALLORY.slice(1).map((own) => `address replace ${own}/128 dev ${dev} nodad`),
  `route replace default via 169.254.0.1 dev ${dev} onlink`,
  `-6 route replace default via fe80::1 dev ${dev}`,
];

interface Arena {
  readonly rw: Routewall;
  readonly mallory: Container;
  readonly alice: Container;
  readonly inside: Place;
}

async function openArena(): Promise<Arena> {
  const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': POLICY, 'containers/alice.yaml': OPEN } });
  const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
  const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  await listen(rw.bed.outside, WEB, OTHER, DATAGRAM);
  return { rw, mallory, alice, inside: await mallory.inside() };
}

const ip = async (place: Place, lines: readonly string[]): Promise<void> => {
  for (const line of lines) await place.run('ip', line.split(' '));
};

const reach = (from: Place, port: typeof WEB | typeof OTHER): Promise<string[]> =>
  Promise.all(SERVERS.map((to) => probe(from, { ...port, to, timeout: 4_000 })));

/** What is allowed passes, and nothing else, also for the sibling. */
async function expectPoliced(from: Place, { alice }: Arena): Promise<void> {
  expect(await reach(from, WEB)).toEqual(['allowed', 'allowed']);
  expect(await reach(from, OTHER)).toEqual(['dropped', 'dropped']);
  expect(await reach(await alice.inside(), OTHER)).toEqual(['allowed', 'allowed']);
}

const FRESH = { timeout: 300 } as const;

describe('a hostile root', () => {
  test('takes addresses that are not its own', async () => {
    const { rw, inside } = await openArena();
    const { host, outside } = rw.bed;
    // It asks for its gateway under the address that it sends from: with a foreign one it gets no answer.
    expect(await reach(inside, WEB)).toEqual(['allowed', 'allowed']);
    for (const address of FOREIGN)
      await ip(inside, [`address add ${address}/${address.includes(':') ? '128' : '32'} dev eth0${nodad(address)}`]);
    const send = async (): Promise<readonly string[]> => {
      await Promise.all(
        [...FOREIGN, ...MALLORY].map((source) =>
          probe(inside, { ...DATAGRAM, ...FRESH, source, to: SERVERS[source.includes(':') ? 1 : 0] ?? '' }),
        ),
      );
      const arrived = (await receipts(outside)).filter(({ protocol }) => protocol === 'udp');
      return [...new Set(arrived.map(({ from }) => from))].sort();
    };
    expect(await send()).toEqual([...MALLORY].sort());
    // The same arrive where the protection is off.
    await rw.daemon.stop('SIGKILL');
    await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'antispoof']);
    expect(await send()).toEqual([...FOREIGN, ...MALLORY].sort());
  });

  test("puts an interface of its own on top, with another hardware address and its sibling's addresses", async () => {
    const { rw, inside } = await openArena();
    await ip(inside, [
      'link add twin link eth0 type macvlan mode bridge',
      'link set twin up',
      ...ALICE.map((own) => `address add ${own}/${own.includes(':') ? '128' : '32'} dev twin${nodad(own)}`),
      'route replace default via 169.254.0.1 dev twin onlink',
      '-6 route replace default via fe80::1 dev twin',
    ]);
    const send = async (): Promise<readonly string[]> => {
      for (const [family, source] of ALICE.entries())
        await probe(inside, { ...DATAGRAM, ...FRESH, source, to: SERVERS[family] ?? '' });
      return (await receipts(rw.bed.outside)).map(({ from }) => from);
    };
    expect(await send()).toEqual([]);
    await rw.daemon.stop('SIGKILL');
    for (const family of ['inet', 'arp']) await rw.bed.host.run('nft', ['delete', 'table', family, 'routewall']);
    await eventually('the same arrive without the tables', async () => new Set(await send()).size === ALICE.length);
  });

  test('renames its interface', async () => {
    const arena = await openArena();
    const before = await readOwnState(arena.rw.bed.host);
    await ip(arena.inside, ['link set eth0 down', 'link set eth0 name vethalice', 'link set vethalice up']);
    await ip(arena.inside, gateways('vethalice'));
    await expectPoliced(arena.inside, arena);
    expect(await readOwnState(arena.rw.bed.host)).toEqual(before);
  });

  test('moves its interface to a namespace of its own', async () => {
    const arena = await openArena();
    const child = arena.inside.spawn('unshare', ['-n', 'sh', '-c', 'echo in $$; exec sleep 1000']);
    const pid = /\d+/.exec(await child.waitForLine(/^in \d+/))?.[0] ?? '';
    await ip(arena.inside, [`link set eth0 netns ${pid}`]);
    const moved = createPlace('moved', ['nsenter', '-t', pid, '-n', '--']);
    await ip(moved, ['link set eth0 name any0', 'link set any0 up']);
    await ip(
      moved,
      MALLORY.map((own) => `address add ${own}/${own.includes(':') ? '128' : '32'} dev any0${nodad(own)}`),
    );
    await ip(moved, gateways('any0'));
    await expectPoliced(moved, arena);
    // Also for a daemon that reads everything anew.
    await arena.rw.daemon.restart('SIGKILL');
    await expectPoliced(moved, arena);
    await moved.close();
  });

  test('deletes its interface: nothing of it is left, and the sibling notices nothing', async () => {
    const { rw, mallory, alice, inside } = await openArena();
    const { host } = rw.bed;
    const [gone, other] = [await mallory.hostVeth(), await alice.hostVeth()];
    await ip(inside, ['link del eth0']);
    await eventually('nothing of it is left', async () => !JSON.stringify(await readOwnState(host)).includes(gone));
    expect(containerState(await readOwnState(host))).toEqual(expectedState([{ veth: other, addresses: ALICE }]));
    expect(await reach(await alice.inside(), OTHER)).toEqual(['allowed', 'allowed']);
  });
});
