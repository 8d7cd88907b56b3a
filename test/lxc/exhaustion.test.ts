/** What all share, one container can't take for itself: connections, neighbours, denials and the log. */
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { echoesLarge, FEW_FRAGMENTS, firstFragments, LITTLE_ROOM, UNCUT_FRAGMENTS } from './fragments.ts';
import { attack, type Sender } from './hostile.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const MALLORY = addressesOf(66);
const ALICE = addressesOf(10);
const SERVERS = { 4: '203.0.113.80', 6: '2001:db8:ffff::80' } as const;
const SERVER = SERVERS[4];
const OWN = { 4: MALLORY[0], 6: MALLORY[1] } as const;
const FAMILIES = [4, 6] as const;
const HTTP = { protocol: 'tcp', port: 80 } as const;

interface Arena {
  readonly rw: Routewall;
  readonly mallory: Container;
  readonly alice: Container;
  readonly sender: Sender;
}

async function openArena({ config = '', policy = OPEN }: { config?: string; policy?: string } = {}): Promise<Arena> {
  const rw = await startRoutewall({
    config,
    policies: { 'containers/mallory.yaml': policy, 'containers/alice.yaml': OPEN },
  });
  const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
  const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  await listen(rw.bed.outside, HTTP);
  await listen(rw.bed.host, HTTP);
  const place = await mallory.inside();
  await probe(place, { ...HTTP, to: '192.0.2.1' });
  return { rw, mallory, alice, sender: { place, own: MALLORY } };
}

const COUNT = 1_000;
const layerOf = (family: 4 | 6): string => `${family === 4 ? 'IP' : 'IPv6'}(src=ME${family}, dst="${SERVERS[family]}")`;
/** Each is a connection of its own, that nobody answers. */
const datagrams = (family: 4 | 6): string =>
  `[E/${layerOf(family)}/UDP(sport=n, dport=9)/M for n in range(1024, ${1024 + COUNT})]`;

/** Entries that the source made in the host's table. */
async function connectionsOf(host: Place, source: string): Promise<number> {
  const { stdout } = await host.run('conntrack', ['-L', '-f', source.includes(':') ? 'ipv6' : 'ipv4', '-s', source]);
  return stdout.split('\n').filter((line) => line.includes(`src=${source}`)).length;
}

describe("the host's connection table", () => {
  test.each(
    FAMILIES.flatMap((family) => [
      ['how many there may be at once', family, 'connections: { most: 100, rate: 999999/second }\n', 110] as const,
      ['how many may be opened', family, 'connections: { most: 1000000, rate: 50/second }\n', 500] as const,
    ]),
  )('takes of one container what the configuration says: %s, in IPv%i', async (_, family, config, most) => {
    const { rw, alice, sender } = await openArena({ config });
    const to = SERVERS[family];
    const flow = await openFlow(sender.place, { ...HTTP, to, timeout: 3_000 });
    await attack(sender, [['a flood of connections', datagrams(family)]]);
    const taken = await connectionsOf(rw.bed.host, OWN[family]);
    expect(taken).toBeGreaterThan(50);
    expect(taken).toBeLessThan(most);
    // What was open stays open; the others and the host itself notice nothing.
    expect(await flow.beat(3_000)).toBe('alive');
    for (const from of [await alice.inside(), rw.bed.host])
      expect(await probe(from, { ...HTTP, to, timeout: 3_000 })).toBe('allowed');
    const denials = await rw.bed.host.run('nft', ['list', 'set', 'inet', 'routewall', `refused_egress${family}`]);
    expect(denials.stdout).toContain(`${to} . udp . 9`);
  });

  test('takes all of them with wider limits', async () => {
    const { rw, sender } = await openArena({ config: 'connections: { most: 1000000, rate: 999999/second }\n' });
    for (const family of FAMILIES) {
      await attack(sender, [['a flood of connections', datagrams(family)]]);
      await eventually('each is an entry', async () => (await connectionsOf(rw.bed.host, OWN[family])) >= COUNT);
    }
  });

  test('gives back what ended', async () => {
    const { rw, sender } = await openArena({ config: 'connections: { most: 20, rate: 999999/second }\n' });
    const reaches = (): Promise<string> => probe(sender.place, { ...HTTP, to: SERVER, timeout: 1_000 });
    await attack(sender, [['a flood of connections', datagrams(4)]]);
    expect(await reaches()).toBe('dropped');
    await rw.bed.host.run('conntrack', ['-D', '-s', MALLORY[0]]);
    await eventually('a new one is let through', async () => (await reaches()) === 'allowed');
  });

  test('is not filled by a stream without an answer, which is one connection', async () => {
    const { rw, sender } = await openArena({ config: 'connections: { most: 5, rate: 20/second }\n' });
    const stream = `[E/IP(src=ME4, dst="${SERVER}")/UDP(sport=1024, dport=9)/M] * 500`;
    await attack(sender, [['a stream', stream]]);
    const { stdout } = await rw.bed.host.run('nft', ['list', 'set', 'inet', 'routewall', 'refused_egress4']);
    expect(stdout).not.toContain('. udp . 9');
    expect(await probe(sender.place, { ...HTTP, to: SERVER, timeout: 3_000 })).toBe('allowed');
  });
});

const NEIGHBOURS = 300;
const OPTION = 'ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:77")';
/** Each from an address of its own, that the host has to remember to answer it. */
const solicitations = (from: string): string =>
  `[E/IPv6(src="${from}%x" % n, dst="fe80::1", hlim=255)/ICMPv6ND_NS(tgt="fe80::1")/${OPTION} for n in range(1, ${NEIGHBOURS})]`;
const questions =
  '[E/ARP(op=1, psrc="203.0.113.%d" % n, pdst="169.254.0.1", hwsrc="02:00:00:00:00:77") for n in range(1, 250)]';

describe("the host's table of neighbours", () => {
  const ROUTES = 'routes: [203.0.113.0/24, "2001:db8:200::/64"]\n';
  const FLOODS = [
    ['link-local addresses', solicitations('fe80::1:'), 'inet'],
    ['addresses of a routed prefix', solicitations('2001:db8:200::'), 'inet'],
    ['IPv4 addresses of a routed prefix', questions, 'arp'],
  ] as const;

  async function remembered({ rw, mallory }: Arena, frames: string): Promise<number> {
    await attack({ place: await mallory.inside(), own: MALLORY }, [['a flood', frames]]);
    const { stdout } = await rw.bed.host.run('ip', ['neigh', 'show', 'dev', await mallory.hostVeth()]);
    return stdout.split('\n').filter((line) => line.includes('02:00:00:00:00:77')).length;
  }

  test.each(FLOODS)('keeps few of a flood from %s', async (_, frames, family) => {
    const arena = await openArena({ policy: `${ROUTES}${OPEN}` });
    expect(await remembered(arena, frames)).toBeLessThan(50);
    const { rw, alice, sender } = arena;
    await rw.bed.host.run('ip', ['neigh', 'flush', 'dev', await alice.hostVeth()]);
    await listen(await alice.inside(), HTTP);
    for (const to of ALICE) expect(await probe(rw.bed.outside, { ...HTTP, to, timeout: 4_000 })).toBe('allowed');
    // Its own addresses are no part of it.
    await rw.bed.host.run('ip', ['neigh', 'flush', 'dev', await arena.mallory.hostVeth()]);
    for (const to of ['192.0.2.1', '2001:db8:0:1::1'])
      expect(await probe(sender.place, { ...HTTP, to, timeout: 4_000 })).toBe('allowed');
    // Without the limit, the same flood is kept whole.
    await rw.daemon.stop('SIGKILL');
    await rw.bed.host.run('nft', ['flush', 'chain', family, 'routewall', 'solicited']);
    expect(await remembered(arena, frames)).toBeGreaterThan(200);
  });
});

describe("the host's room for what comes in fragments", () => {
  const SHUT = 'egress: { default: drop }\n';
  const KINDS = [
    ['many fragments, as is by default', firstFragments(), '', {}],
    ['many fragments, with little room', firstFragments(), FEW_FRAGMENTS, LITTLE_ROOM],
    ['frames of 60,000 bytes', [UNCUT_FRAGMENTS], '', {}],
    ["many from its sibling's addresses", firstFragments(`"${ALICE[0]}"`, `"${ALICE[1]}"`), '', LITTLE_ROOM],
    ['many from its link-local address', firstFragments('ME4', '"fe80::66"'), FEW_FRAGMENTS, LITTLE_ROOM],
  ] as const;
  const [ALL, NONE] = [true, false].map((comes) => Array(6).fill(comes));

  const comeThrough = async ({ rw, alice }: Arena): Promise<boolean[]> =>
    await echoesLarge([
      [await alice.inside(), Object.values(SERVERS)],
      [rw.bed.host, Object.values(SERVERS)],
      [rw.bed.outside, ALICE],
    ]);

  test.each(KINDS)('leaves it to the others, whatever one that may send nothing sends: %s', async (...row) => {
    const [, frames, config, room] = row;
    const arena = await openArena({ policy: SHUT, config });
    await setSysctls(arena.rw.bed.host, room);
    expect(await comeThrough(arena)).toEqual(ALL);
    await attack(arena.sender, frames);
    expect(await comeThrough(arena)).toEqual(ALL);
  });

  test('is taken by it whole where nothing stands in its way', async () => {
    const arena = await openArena({ policy: SHUT });
    const { rw, sender } = arena;
    await rw.daemon.stop('SIGKILL');
    await rw.bed.host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'antispoof']);
    await setSysctls(rw.bed.host, {
      'net/ipv4/ipfrag_time': '30',
      'net/ipv4/ipfrag_high_thresh': '4194304',
      'net/netfilter/nf_conntrack_frag6_timeout': '60',
      'net/netfilter/nf_conntrack_frag6_high_thresh': '4194304',
    });
    await attack(sender, firstFragments());
    expect(await comeThrough(arena)).toEqual(NONE);
  });
});

describe('a flood of refusals', () => {
  const CLOSED = 'egress: { default: drop, log: true }\n';
  const SENT = 3_000;

  test.each(FAMILIES)('writes few lines to the log, and nothing comes out, in IPv%i', async (family) => {
    const refused = `[E/${layerOf(family)}/UDP(sport=9, dport=n)/M for n in range(1, ${SENT})]`;
    const { rw, sender } = await openArena({ policy: CLOSED, config: 'log: { group: 44, rate: 5/second }\n' });
    const logged = rw.bed.host.spawn('tcpdump', ['-n', '-l', '--immediate-mode', '-i', 'nflog:44']);
    await logged.waitForLine(/listening on/);
    await attack(sender, [['refused', refused]]);
    // The kernel keeps few lines back for a second, to hand them on together.
    await logged.waitForLine(/ UDP/);
    await setTimeout(1_500);
    await logged.stop('SIGINT');
    const lines = logged.lines.filter((line) => / UDP/.test(line)).length;
    expect(lines).toBeLessThan(SENT / 10);
    expect(await connectionsOf(rw.bed.host, OWN[family])).toBe(0);
  });
});
