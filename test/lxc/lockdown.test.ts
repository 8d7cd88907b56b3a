/** A container that runs untrusted code reaches the two services that its policy names, and nothing else by any trick. */
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { type Container, createContainer } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createHost, type Host } from '../../sandbox/host.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Port, probe, receipts } from '../../sandbox/services.ts';
import { runIp } from '../../sandbox/wire.ts';
import { ATTACKS, NEVER } from './attacks.ts';
import { attack, type Sender, startWitness } from './hostile.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const tinderbox = (verdict: 'drop' | 'reject'): string => `egress:
  default: ${verdict}
  rules:
    - allow: [rsync, squid]
      to: host
`;
const MALLORY = addressesOf(66);
const ALICE = addressesOf(10);

const HOST = ['192.0.2.1', '2001:db8:0:1::1'];
const OUTSIDE = ['192.0.2.2', '2001:db8:0:1::2'];
const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'];
const tcp = (port: number): Port => ({ protocol: 'tcp', port });
const udp = (port: number): Port => ({ protocol: 'udp', port });

/** What listens everywhere, so that a refusal is the policy's. */
const SERVICES = [tcp(22), tcp(53), tcp(80), tcp(443), tcp(873), tcp(3128), udp(53), udp(123), udp(873)];

async function listenEverywhere({ host, outside }: Host, ...containers: readonly Container[]): Promise<void> {
  await listen(host, ...SERVICES);
  await listen(outside, ...SERVICES);
  for (const container of containers) await listen(await container.inside(), ...SERVICES);
}

/** Without the daemon: the same container behind plain routing. */
async function routeByHand(
  { host }: Host,
  container: Container,
  addresses: readonly [string, string],
): Promise<string> {
  const veth = await container.hostVeth();
  await setSysctls(host, {
    'net/ipv4/ip_forward': '1',
    'net/ipv6/conf/all/forwarding': '1',
    [`net/ipv4/conf/${veth}/rp_filter`]: '0',
  });
  await runIp(host, [
    `address add 169.254.0.1/32 dev ${veth}`,
    `address add fe80::1/128 dev ${veth} nodad`,
    `route add ${addresses[0]}/32 dev ${veth}`,
    `route add ${addresses[1]}/128 dev ${veth}`,
  ]);
  return veth;
}

/** Sees to it that the sender knows its gateway's hardware address, as its every packet would. */
async function senderIn(container: Container): Promise<Sender> {
  const place = await container.inside();
  await probe(place, { protocol: 'tcp', to: HOST[0] ?? '', port: 873 });
  return { place, own: MALLORY };
}

describe('a container that may reach rsync and squid on its host', () => {
  test.each(['reject', 'drop'] as const)('reaches nothing else, when the default is to %s', async (verdict) => {
    const rw = await startRoutewall({
      policies: { 'containers/mallory.yaml': tinderbox(verdict), 'containers/alice.yaml': OPEN },
    });
    const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
    const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
    await Promise.all([rw.start(mallory), rw.start(alice)]);
    await listenEverywhere(rw.bed, mallory, alice);
    const inside = await mallory.inside();
    const targets = [...HOST, ...OUTSIDE, ...INTERNET, ...ALICE, '169.254.0.1'];
    const attempts = targets.flatMap((to) => [
      ...SERVICES.map((service) => ({ ...service, to })),
      { protocol: 'icmp' as const, to, port: 0 },
    ]);
    const outcomes = await Promise.all(
      attempts.map(async (target) => ({ ...target, outcome: await probe(inside, { ...target, timeout: 2_500 }) })),
    );
    const isGranted = ({ protocol, port, to }: { protocol: string; port: number; to: string }): boolean =>
      protocol === 'tcp' && [873, 3128].includes(port) && [...HOST, '169.254.0.1'].includes(to);
    const refusal = verdict === 'drop' ? 'dropped' : 'refused';
    const show = (entry: object): string => JSON.stringify(entry);
    expect(outcomes.map(show)).toEqual(
      attempts.map((target) => show({ ...target, outcome: isGranted(target) ? 'allowed' : refusal })),
    );
    const comers = await Promise.all([rw.bed.outside, await alice.inside()].map(receipts));
    expect(comers.flat()).toEqual([]);
  });

  test('is reached by nobody, while a container with an open policy is', async () => {
    const rw = await startRoutewall({
      policies: { 'containers/mallory.yaml': tinderbox('drop'), 'containers/alice.yaml': OPEN },
    });
    const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
    const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
    await Promise.all([rw.start(mallory), rw.start(alice)]);
    await listenEverywhere(rw.bed, mallory, alice);
    const reach = async (addresses: readonly string[], from: readonly Place[]) =>
      await Promise.all(
        from.flatMap((place) =>
          addresses.flatMap((to) =>
            [tcp(22), udp(53), { protocol: 'icmp' as const, port: 0 }].map((target) => probe(place, { ...target, to })),
          ),
        ),
      );
    const here = await alice.inside();
    expect(new Set(await reach(ALICE, [rw.bed.host, rw.bed.outside]))).toEqual(new Set(['allowed']));
    expect(new Set(await reach(MALLORY, [rw.bed.outside, here]))).toEqual(new Set(['dropped']));
    // The host's own kernel tells its programs of a packet that its output hook drops.
    expect(await reach(MALLORY, [rw.bed.host])).not.toContain('allowed');
    expect(await receipts(await mallory.inside())).toEqual([]);
  });
});

describe('forged and unusual packets', () => {
  test('all come through where nothing stands in their way', async () => {
    const bed = await createHost({
      sysctls: { 'net/ipv4/conf/all/accept_source_route': '1', 'net/ipv4/conf/all/route_localnet': '1' },
    });
    const make = (name: string, addresses: readonly string[]): Promise<Container> =>
      createContainer({ host: bed.host, lxcPath: bed.lxcPath, name, config: nic(addresses) });
    const [mallory, alice] = [await make('mallory', MALLORY), await make('alice', ALICE)];
    await Promise.all([mallory.start(), alice.start()]);
    const from = await routeByHand(bed, mallory, MALLORY);
    const sibling = await routeByHand(bed, alice, ALICE);
    await listenEverywhere(bed, mallory, alice);
    const witness = await startWitness(bed.host, { devices: ['eth0', sibling], from });
    const sender = await senderIn(mallory);
    await attack(sender, ATTACKS);
    const possible = ATTACKS.filter(([name]) => !name.startsWith('martian'));
    await eventually('all are seen', () => witness.seen(ATTACKS).length >= possible.length).catch(() => undefined);
    const seen = witness.seen(ATTACKS);
    expect(possible.map(([name]) => name).filter((name) => !seen.includes(name))).toEqual([]);
    await witness.stop();
  });

  test.each([
    ['come out nowhere, when the default is to reject', tinderbox('reject'), ATTACKS],
    ['come out nowhere, when the default is to drop', tinderbox('drop'), ATTACKS],
    ['come out nowhere of those that no policy can allow, when the policy allows everything', OPEN, NEVER],
  ])('%s', async (_, policy, attacks) => {
    const rw = await startRoutewall({
      host: { sysctls: { 'net/ipv4/conf/all/accept_source_route': '1', 'net/ipv4/conf/all/route_localnet': '1' } },
      policies: { 'containers/mallory.yaml': policy, 'containers/alice.yaml': OPEN },
      // So that what stands in the way is the policy.
      config: 'connections: { rate: 999999/second }\n',
    });
    const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
    const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
    await Promise.all([rw.start(mallory), rw.start(alice)]);
    await listenEverywhere(rw.bed, mallory, alice);
    const devices = ['eth0', await alice.hostVeth()];
    const witness = await startWitness(rw.bed.host, { devices, from: await mallory.hostVeth() });
    const allowed = ['allowed', 'E/IP(src=ME4, dst="192.0.2.1")/TCP(dport=873, flags="S")/M'] as const;
    const all = [...attacks, allowed];
    await attack(await senderIn(mallory), all);
    // What is allowed comes last: when it is here, everything before it would be.
    await eventually('the allowed packet is seen', () => witness.seen(all).includes('allowed'));
    expect(witness.seen(all)).toEqual(['allowed']);
    await witness.stop();
  });
});
