/** What a hostile root in a container on a bridge sends gets nowhere: neither to its siblings nor to the host nor beyond. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge, makeLeases } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import { runIp } from '../../sandbox/wire.ts';
import { FROM_EARLY, OWN_EARLY } from './bridged-before-lease.ts';
import { KINDS, OTHERS, RESERVED, ROLES } from './bridged-kinds.ts';
import { addNeighbour } from './bridged-neighbour.ts';
import { ALICE, EARLY, FOREIGN, MALLORY } from './bridged-parties.ts';
import { OWN_MALLORY, SPOOFED } from './bridged-spoofing.ts';
import { type Attack, attack, type Sender, startWitness } from './hostile.ts';
import { OPEN, type Routewall, startRoutewall } from './routewall.ts';

/** So that also frames to reserved addresses go from port to port where nobody stops them. */
const FORWARDS_RESERVED = 'link set dev br0 type bridge group_fwd_mask 0xfff8';
const KEEPS_RESERVED = 'link set dev br0 type bridge group_fwd_mask 0';
const LEARNS_RESERVED = 'link set dev br0 type bridge no_linklocal_learn 0';

interface Arena {
  readonly rw: Routewall;
  readonly alice: Container;
  /** Their host-side names. */
  readonly veths: { readonly alice: string; readonly mallory: string };
  readonly mallory: Sender;
  readonly early: Sender;
}

/** All policies allow everything. */
async function openArena(): Promise<Arena> {
  const { pattern } = await makeLeases();
  const rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    // No pattern guards their veths: what holds is what each has of its own.
    config: `leases: ${pattern}\nguard: [none*]\nconnections: { rate: 999999/second }\n`,
    policies: Object.fromEntries(['mallory', 'alice', 'early'].map((name) => [`containers/${name}.yaml`, OPEN])),
    prepare: async ({ host }) => {
      await createBridge(host);
      await addNeighbour(host);
      await runIp(host, [FORWARDS_RESERVED]);
    },
  });
  const add = async (name: string, addresses: readonly string[], hwaddr: string): Promise<Container> => {
    const container = await rw.addContainer(name, { lines: bridgedNic(addresses, { hwaddr }) });
    await rw.start(container);
    return container;
  };
  const mallory = await add('mallory', MALLORY.own, MALLORY.mac);
  const alice = await add('alice', ALICE.own, ALICE.mac);
  const early = await add('early', [], EARLY.mac);
  const hostMac = (await rw.bed.host.run('cat', [`/sys/class/net/${BRIDGE}/address`])).stdout.trim();
  return {
    rw,
    alice,
    veths: { alice: await alice.hostVeth(), mallory: await mallory.hostVeth() },
    mallory: { place: await mallory.inside(), own: MALLORY.own, hostMac },
    early: { place: await early.inside(), own: EARLY.own, hostMac },
  };
}

/** Which of them come out at the sibling, at the port, at the uplink or in the host. */
async function seen({ rw, veths }: Arena, sender: Sender, attacks: readonly Attack[], most: number): Promise<string[]> {
  const devices = [veths.alice, 'lan0', 'eth0'];
  const witness = await startWitness(rw.bed.host, { devices, from: veths.mallory, bridge: BRIDGE });
  await attack(sender, attacks);
  await eventually('all are seen', () => witness.seen(attacks).length >= most).catch(() => undefined);
  const names = witness.seen(attacks);
  await witness.stop();
  return names;
}

/** Whether the hooks of IP see frames that a bridge hands on. */
const filterBridged = async ({ rw }: Arena, value: '0' | '1'): Promise<void> =>
  await setSysctls(rw.bed.host, {
    'net/bridge/bridge-nf-call-iptables': value,
    'net/bridge/bridge-nf-call-ip6tables': value,
    'net/bridge/bridge-nf-call-arptables': value,
  });

const FROM_MALLORY = [...SPOOFED, ...ROLES, ...KINDS];

/** Of those that aren't the sender's, which hardware addresses the bridge looks for behind its port. */
async function learned({ rw, veths }: Arena): Promise<string[]> {
  const { stdout } = await rw.bed.host.run('bridge', ['fdb', 'show', 'dev', veths.mallory]);
  return OTHERS.filter((mac) => new RegExp(`^${mac} (?!.*permanent)`, 'm').test(stdout));
}

const namesOf = (attacks: readonly Attack[]): string[] => attacks.map(([name]) => name);

describe('a hostile root in a container on a bridge', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await openArena();
  });
  afterAll(cleanUp);

  test.each(['0', '1'] as const)(
    'gets out what is its own, and nothing else, with br_netfilter at %s',
    async (value) => {
      await filterBridged(arena, value);
      expect(await seen(arena, arena.mallory, [...FROM_MALLORY, ...OWN_MALLORY], OWN_MALLORY.length)).toEqual(
        namesOf(OWN_MALLORY),
      );
    },
  );

  test('asks for an address of its own before it has any, and sends nothing else', async () => {
    expect(await seen(arena, arena.early, [...FROM_EARLY, ...OWN_EARLY], OWN_EARLY.length)).toEqual(namesOf(OWN_EARLY));
  });

  test('teaches the bridge nothing by frames to addresses that it keeps for itself', async () => {
    const { rw, mallory } = arena;
    await rw.bed.host.run('ip', KEEPS_RESERVED.split(' '));
    expect(await learned(arena)).toEqual([]);
    expect(await seen(arena, mallory, RESERVED, 0)).toEqual([]);
    expect(await learned(arena)).toEqual([]);
  });

  test('gets all of it out where nothing stands in its way', async () => {
    const { rw, veths } = arena;
    await rw.daemon.stop('SIGKILL');
    for (const family of ['inet', 'arp', 'bridge'])
      await rw.bed.host.run('nft', ['delete', 'table', family, 'routewall']);
    await filterBridged(arena, '0');
    for (const setting of [KEEPS_RESERVED, LEARNS_RESERVED]) await rw.bed.host.run('ip', setting.split(' '));
    const names = await seen(arena, arena.mallory, RESERVED, RESERVED.length);
    expect(names).toEqual(namesOf(RESERVED));
    // The sibling's own, it may have taken back by sending something.
    expect(await learned(arena)).toContain(FOREIGN.mac);
    await rw.bed.host.run('ip', FORWARDS_RESERVED.split(' '));
    // Else the bridge would take all that is for the sibling to where a frame from its hardware address came from.
    const fixed = ['fdb', 'replace', ALICE.mac, 'dev', veths.alice, 'master', 'static', 'sticky'];
    await rw.bed.host.run('bridge', fixed);
    const all = [
      [arena.mallory, FROM_MALLORY],
      [arena.early, FROM_EARLY],
    ] as const;
    for (const [sender, attacks] of all) {
      const names = await seen(arena, sender, attacks, attacks.length);
      expect(namesOf(attacks).filter((name) => !names.includes(name))).toEqual([]);
    }
  });
});
