/** What a container on a bridge forges, floods and does to its own interface takes nothing of what its siblings have. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type Namespace, setSysctls } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe, receipts } from '../../sandbox/services.ts';
import { errors, FLOODS, FROM_OUTSIDE, type LiveFlow, segments, TO_CLOSED } from './bridged-claims.ts';
import { addNeighbour } from './bridged-neighbour.ts';
import { ALICE, FOREIGN, HOST, INTERNET, MALLORY } from './bridged-parties.ts';
import { echoesLarge, FEW_FRAGMENTS, firstFragments, LITTLE_ROOM } from './fragments.ts';
import { type Attack, attack, type Sender, startWitness } from './hostile.ts';
import { OPEN, type Routewall, startRoutewall } from './routewall.ts';

const HTTP = { protocol: 'tcp', port: 80 } as const;
const DATAGRAM = { protocol: 'udp', port: 80 } as const;
const SERVERS = [...INTERNET, '198.51.100.140', '2001:db8:200::140'];
const SERVES = 'egress: { default: allow }\ningress:\n  rules:\n    - allow: [tcp/80, icmp]\n      from: any\n';

interface Arena {
  readonly rw: Routewall;
  readonly host: Namespace;
  readonly alice: Place;
  readonly mallory: Sender;
  readonly lan: Sender;
  /** Their host-side names. */
  readonly veths: { readonly alice: string; readonly mallory: string };
}

async function openArena(): Promise<Arena> {
  let neighbour: Namespace | undefined;
  const rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: FEW_FRAGMENTS,
    policies: { 'containers/mallory.yaml': OPEN, 'containers/alice.yaml': SERVES },
    prepare: async ({ host }) => {
      await createBridge(host);
      neighbour = await addNeighbour(host);
    },
  });
  const { host, outside } = rw.bed;
  const mallory = await rw.addContainer('mallory', { lines: bridgedNic(MALLORY.own, { hwaddr: MALLORY.mac }) });
  const alice = await rw.addContainer('alice', { lines: bridgedNic(ALICE.own, { hwaddr: ALICE.mac }) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  // As Docker has it: the hooks of IP see what goes from port to port too.
  await setSysctls(host, { 'net/bridge/bridge-nf-call-iptables': '1', 'net/bridge/bridge-nf-call-ip6tables': '1' });
  const hostMac = (await host.run('cat', [`/sys/class/net/${BRIDGE}/address`])).stdout.trim();
  const lan = neighbour ?? outside;
  await Promise.all([listen(outside, HTTP, DATAGRAM), listen(lan, HTTP), listen(await alice.inside(), HTTP)]);
  return {
    rw,
    host,
    alice: await alice.inside(),
    mallory: { place: await mallory.inside(), own: MALLORY.own, hostMac },
    lan: { place: lan, own: [SERVERS[2] ?? '', SERVERS[3] ?? ''], hostMac },
    veths: { alice: await alice.hostVeth(), mallory: await mallory.hostVeth() },
  };
}

const waysOut = ({ veths }: Arena): string[] => [veths.alice, veths.mallory, 'lan0', 'eth0'];

/** Which of them come out at a container, at the bridge's other port, at the uplink or in the host. */
async function seen(
  arena: Arena,
  sender: Sender,
  attacks: readonly Attack[],
  { most = 0, devices }: { most?: number; devices?: readonly string[] } = {},
): Promise<string[]> {
  const watched = devices === undefined ? { devices: waysOut(arena), bridge: BRIDGE } : { devices };
  const witness = await startWitness(arena.rw.bed.host, { ...watched, from: 'lan0' });
  await attack(sender, attacks);
  if (most > 0) await eventually('all are seen', () => witness.seen(attacks).length >= most).catch(() => undefined);
  const names = witness.seen(attacks);
  await witness.stop();
  return names;
}

/** What the sibling has open to each server. */
async function openFlows({ alice }: Arena): Promise<{ flows: Flow[]; live: LiveFlow[] }> {
  const flows = await Promise.all(SERVERS.map((to) => openFlow(alice, { ...HTTP, to, timeout: 4_000 })));
  const { stdout } = await alice.run('ss', ['-Hnt']);
  const live = SERVERS.map((server): LiveFlow => {
    const found = stdout.split('\n').find((line) => line.replace(/[[\]]/g, '').trimEnd().endsWith(` ${server}:80`));
    return { family: server.includes(':') ? 1 : 0, server, port: Number(/:(\d+)\s/.exec(found ?? '')?.[1]) };
  });
  return { flows, live };
}

/** As the kernel tracks them, without what each packet changes. */
async function tracked({ host }: Arena): Promise<string[]> {
  const lists = await Promise.all(
    ALICE.own.map((own) =>
      host.run('conntrack', ['-L', '-f', own.includes(':') ? 'ipv6' : 'ipv4', '-p', 'tcp', '-s', own]),
    ),
  );
  const lines = lists.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line.includes('ESTABLISHED'));
  return lines.map((line) => line.replace(/^(\S+ +\d+) \d+/, '$1').trim()).sort();
}

/** How many neighbours of that hardware address the host remembers, and hardware addresses that the bridge does. */
async function remembered({ host, veths }: Arena): Promise<{ arp: number; nd: number; macs: number }> {
  const count = async (family: string): Promise<number> => {
    const { stdout } = await host.run('ip', [family, 'neigh', 'show', 'dev', BRIDGE]);
    return stdout.split('\n').filter((line) => line.includes(MALLORY.mac)).length;
  };
  const { stdout } = await host.run('bridge', ['fdb', 'show', 'dev', veths.mallory]);
  return { arp: await count('-4'), nd: await count('-6'), macs: stdout.match(/^02:99:/gm)?.length ?? 0 };
}

/** Ports behind which the bridge looks for the sibling. */
async function portsOfAlice({ host }: Arena): Promise<string[]> {
  const { stdout } = await host.run('bridge', ['fdb', 'show', 'br', BRIDGE]);
  return [...stdout.matchAll(new RegExp(`^${ALICE.mac} dev (\\S+)`, 'gm'))].map(([, port = '']) => port);
}

const reaches = (from: Place, to: readonly string[]) =>
  Promise.all(to.map((one) => probe(from, { ...HTTP, to: one, timeout: 4_000 })));
const allowed = (list: readonly unknown[]): string[] => list.map(() => 'allowed');
const namesOf = (attacks: readonly Attack[]): string[] => attacks.map(([name]) => name);

const nodad = (address: string): string => (address.includes(':') ? '/64 nodad' : '/25');
const ip = async ({ place }: Sender, lines: readonly string[]): Promise<void> => {
  for (const line of lines) await place.run('ip', line.split(' '));
};

/** Datagrams from all these, of which the server's side has heard. */
async function heard({ rw, mallory }: Arena, sources: readonly string[]): Promise<string[]> {
  const before = (await receipts(rw.bed.outside)).length;
  await Promise.all(
    sources.map((source) =>
      probe(mallory.place, {
        ...DATAGRAM,
        source,
        to: INTERNET[source.includes(':') ? 1 : 0],
        timeout: MALLORY.own.some((own) => own === source) ? 1_500 : 500,
      }),
    ),
  );
  const fresh = (await receipts(rw.bed.outside)).slice(before).filter(({ protocol }) => protocol === 'udp');
  return [...new Set(fresh.map(({ from }) => from))].sort();
}

/** From a bridge that is better than any. */
const BPDU: readonly Attack[] = [
  [
    'spanning tree',
    `Dot3(dst="01:80:c2:00:00:00", src="${MALLORY.mac}")/LLC()/STP(rootid=0, rootmac="${MALLORY.mac}", bridgeid=0, bridgemac="${MALLORY.mac}")`,
  ],
];
/** Two seconds of listening and two of learning are the least. */
const setStp = async ({ host }: Arena, on: 0 | 1): Promise<void> =>
  void (await host.run('ip', `link set dev ${BRIDGE} type bridge forward_delay 200 stp_state ${on}`.split(' ')));
const rootOf = async ({ host }: Arena): Promise<string> =>
  (await host.run('cat', [`/sys/class/net/${BRIDGE}/bridge/root_id`])).stdout.trim();
const stateOf = async (host: Namespace, port: string): Promise<string> =>
  (await host.run('cat', [`/sys/class/net/${port}/brport/state`])).stdout.trim();

const OTHERS = [FOREIGN['an unused address'], ALICE.own].flat();
const OWN = [...MALLORY.own].sort();

describe('beside a hostile root in a container on a bridge', () => {
  let arena: Arena;
  let live: LiveFlow[];

  beforeAll(async () => {
    arena = await openArena();
  });
  afterAll(cleanUp);

  test('live connections take no segment and no error of its', async () => {
    const { flows, live: open } = await openFlows(arena);
    live = open;
    const before = await tracked(arena);
    expect(before).toHaveLength(SERVERS.length);
    expect(await seen(arena, arena.mallory, live.flatMap(segments))).toEqual([]);
    // The bridge hands these to the host, which judges them.
    expect(await seen(arena, arena.mallory, live.flatMap(errors), { devices: waysOut(arena) })).toEqual([]);
    expect(await tracked(arena)).toEqual(before);
    expect(await Promise.all(flows.map((flow) => flow.beat(3_000)))).toEqual(SERVERS.map(() => 'alive'));
    for (const server of SERVERS)
      expect((await arena.alice.run('ip', ['route', 'get', server])).stdout).not.toMatch(/ mtu /);
  });

  test('neither the host nor the bridge remembers what it makes up, and all reach each other', async () => {
    const { host, alice, lan, mallory } = arena;
    await attack(mallory, FLOODS);
    const { arp, nd, macs } = await remembered(arena);
    // Its own: an address of each family, and the link-local one.
    expect([arp <= 1, nd <= 2, macs]).toEqual([true, true, 0]);
    await host.run('ip', ['neigh', 'flush', 'dev', BRIDGE]);
    expect(await reaches(alice, SERVERS)).toEqual(allowed(SERVERS));
    for (const from of [lan.place, host]) expect(await reaches(from, ALICE.own)).toEqual(allowed(ALICE.own));
    expect(await reaches(mallory.place, SERVERS)).toEqual(allowed(SERVERS));
  });

  test("its fragments leave the host's room for them to the others", async () => {
    const { host, alice, mallory } = arena;
    await setSysctls(host, LITTLE_ROOM);
    await attack(mallory, firstFragments());
    const servers = SERVERS.slice(0, 2);
    const ways = [
      [alice, servers],
      [host, servers],
      [arena.rw.bed.outside, ALICE.own],
    ] as const;
    expect(await echoesLarge(ways)).toEqual(Array(6).fill(true));
  });

  test('its errors about its own flows come through', async () => {
    const { outside } = arena.rw.bed;
    for (const to of MALLORY.own)
      expect(await probe(outside, { protocol: 'udp', port: 81, to, timeout: 4_000 })).toBe('refused');
  });

  test("what comes in by the bridge's other port is not from a container, and takes none's place", async () => {
    const { lan, alice, veths } = arena;
    expect(await seen(arena, lan, FROM_OUTSIDE)).toEqual([]);
    // These as well.
    expect(await seen(arena, lan, TO_CLOSED, { devices: [veths.alice] })).toEqual([]);
    expect(await portsOfAlice(arena)).toEqual([veths.alice]);
    expect(await reaches(alice, SERVERS)).toEqual(allowed(SERVERS));
    expect(await reaches(lan.place, ALICE.own)).toEqual(allowed(ALICE.own));
  });

  test('its spanning tree message moves nothing on a bridge that speaks it, and shuts its own port', async () => {
    const { host, veths, alice } = arena;
    await host.run('ip', ['link', 'set', 'dev', veths.mallory, 'type', 'bridge_slave', 'guard', 'off']);
    const guard = `/sys/class/net/${veths.mallory}/brport/bpdu_guard`;
    await eventually('it is put back', async () => (await host.run('cat', [guard])).stdout.trim() === '1');
    await setStp(arena, 1);
    const root = await rootOf(arena);
    await attack(arena.mallory, BPDU);
    await eventually('its port is shut', async () => (await stateOf(host, veths.mallory)) === '0');
    expect(await rootOf(arena)).toBe(root);
    await eventually(
      'the sibling goes on',
      async () => (await reaches(alice, SERVERS)).join() === allowed(SERVERS).join(),
    );
    await setStp(arena, 0);
    for (const to of ['down', 'up']) await host.run('ip', ['link', 'set', veths.mallory, to]);
    await eventually('its port is open again', async () => (await stateOf(host, veths.mallory)) === '3');
    expect(await reaches(arena.mallory.place, SERVERS)).toEqual(allowed(SERVERS));
  });

  test('what it does to its interface changes nothing of what it may send', async () => {
    const { mallory } = arena;
    const added = OTHERS.map((address) => `address add ${address}${nodad(address)}`);
    await ip(
      mallory,
      added.map((line) => line.replace(/(\/\d+)/, '$1 dev eth0')),
    );
    expect(await heard(arena, [...OTHERS, ...MALLORY.own])).toEqual(OWN);
    await ip(mallory, [`link set eth0 address ${FOREIGN.mac}`]);
    expect(await heard(arena, [...OTHERS, ...MALLORY.own])).toEqual([]);
    await ip(mallory, [`link set eth0 address ${ALICE.mac}`]);
    expect(await heard(arena, [...OTHERS, ...MALLORY.own])).toEqual([]);
    await ip(mallory, [`link set eth0 address ${MALLORY.mac}`]);
    expect(await heard(arena, [...OTHERS, ...MALLORY.own])).toEqual(OWN);
    const all = [...OTHERS, ...MALLORY.own];
    await ip(mallory, [
      'link set eth0 down',
      'link set eth0 name vethalice',
      'link set vethalice up',
      ...all.filter((one) => one.includes(':')).map((one) => `address replace ${one}/64 dev vethalice nodad`),
      ...HOST.map((via) => `route replace default via ${via} dev vethalice`),
    ]);
    expect(await heard(arena, all)).toEqual(OWN);
    // On top, with a hardware address of its own.
    await ip(mallory, [
      'link add twin link vethalice type macvlan mode bridge',
      'address flush dev vethalice',
      'link set twin up',
      ...all.map((one) => `address add ${one}${nodad(one).replace(/(\/\d+)/, '$1 dev twin')}`),
      ...HOST.map((via) => `route replace default via ${via} dev twin`),
    ]);
    expect(await heard(arena, all)).toEqual([]);
    expect(await reaches(arena.alice, SERVERS)).toEqual(allowed(SERVERS));
  });

  test('all of it comes through where nothing stands in its way', async () => {
    const { rw, host, mallory, lan, veths } = arena;
    await rw.daemon.stop('SIGKILL');
    for (const family of ['inet', 'arp', 'bridge']) await host.run('nft', ['delete', 'table', family, 'routewall']);
    await eventually('its twin sends as the sibling', async () => (await heard(arena, OTHERS)).includes(ALICE.own[0]));
    await ip(mallory, ['link del twin', 'link set vethalice down', 'link set vethalice name eth0', 'link set eth0 up']);
    const forged = live.flatMap((flow) => [...segments(flow), ...errors(flow)]);
    // Else the bridge would take all that is for the sibling to where a frame from its hardware address came from.
    const place = [ALICE.mac, 'dev', veths.alice, 'master', 'static'];
    await host.run('bridge', ['fdb', 'replace', ...place, 'sticky']);
    const names = await seen(arena, mallory, forged, { most: forged.length });
    expect(namesOf(forged).filter((name) => !names.includes(name))).toEqual([]);
    await host.run('bridge', ['fdb', 'del', ...place]);
    await attack(mallory, FLOODS);
    const { arp, nd, macs } = await remembered(arena);
    expect([arp > 50, nd > 200, macs > 200]).toEqual([true, true, true]);
    const claimed = [...TO_CLOSED, ...FROM_OUTSIDE];
    const claims = await seen(arena, lan, claimed, { most: claimed.length });
    expect(namesOf(claimed).filter((name) => !claims.includes(name))).toEqual([]);
    // Any word of the sibling's own takes its place back.
    await arena.alice.run('ip', ['link', 'set', 'dev', 'eth0', 'down']);
    await attack(lan, claimed);
    expect(await portsOfAlice(arena)).toEqual(['lan0']);
    await host.run('ip', ['link', 'set', 'dev', veths.mallory, 'type', 'bridge_slave', 'guard', 'off']);
    await setStp(arena, 1);
    await attack(mallory, BPDU);
    await eventually('it is the root', async () => (await rootOf(arena)) === `0000.${MALLORY.mac.replaceAll(':', '')}`);
  });
});
