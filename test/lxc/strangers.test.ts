/** Who is outside takes no container's address: not on the uplink, not on a bridge that is none of ours. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type Host, INTERNET } from '../../sandbox/host.ts';
import { createNamespace, type Namespace, setSysctls } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe, receipts } from '../../sandbox/services.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const ALICE = addressesOf(10);
const BOB = addressesOf(20);
/** Routed to bob, and an address there. */
const BEHIND_BOB = ['203.0.113.0/26', '2001:db8:200::/56'] as const;
const IN_IT = ['203.0.113.40', '2001:db8:200:40::1'] as const;
/** Part of it, to which the kernel knows a longer way: by the bridge. */
const EXCEPTION = ['203.0.113.8/29', '2001:db8:200:8::/64'] as const;
const IN_EXCEPTION = ['203.0.113.9', '2001:db8:200:8::9'] as const;
const ON_BRIDGE = ['203.0.113.129', '2001:db8:201::1'] as const;
const STRANGER = ['203.0.113.130', '2001:db8:201::2'] as const;

const POLICIES = {
  'containers/alice.yaml': 'ingress:\n  rules:\n    - allow: tcp/22\n      from: [container:bob]\n',
  'containers/bob.yaml': `egress: { default: allow }\nroutes: [${BEHIND_BOB.join(', ')}]\n`,
};

/** A bridge of the administrator's, with somebody on it. */
async function addStranger({ host }: Host): Promise<Namespace> {
  const stranger = await createNamespace('stranger');
  await createWire(
    { namespace: host, name: 'port0', addresses: [] },
    { namespace: stranger, name: 'eth0', addresses: [`${STRANGER[0]}/29`, `${STRANGER[1]}/64`] },
  );
  await runIp(host, [
    'link add br0 type bridge',
    'link set port0 master br0',
    ...ON_BRIDGE.map(
      (address) =>
        `address add ${address}${address.includes(':') ? '/64' : '/29'} dev br0${address.includes(':') ? ' nodad' : ''}`,
    ),
    'link set br0 up',
    ...EXCEPTION.map((prefix, index) => `route add ${prefix} via ${STRANGER[index]}`),
  ]);
  await setSysctls(host, { 'net/ipv4/conf/br0/forwarding': '1' });
  await runIp(stranger, [
    ...IN_EXCEPTION.map((address) => `address add ${address} dev lo`),
    ...ON_BRIDGE.map((gateway) => `route add ${gateway.includes(':') ? '::/0' : '0.0.0.0/0'} via ${gateway}`),
  ]);
  return stranger;
}

const syn = (name: string, source: string, to: string, header = 'TCP(sport=4000, dport=22, flags="S")'): Attack => [
  name,
  `E/${source.includes(':') ? 'IPv6' : 'IP'}(src="${source}", dst="${to}")/${header}/M`,
];

test('nobody outside is a container of ours, whoever is believed', async () => {
  let stranger: Namespace | undefined;
  const rw = await startRoutewall({
    policies: POLICIES,
    host: { routedPrefixes: ['198.51.100.0/24', '2001:db8:100::/64'] },
    prepare: async (bed) => {
      stranger = await addStranger(bed);
    },
  });
  const { host, outside } = rw.bed;
  const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
  const bob = await rw.addContainer('bob', { lines: nic(BOB) });
  await Promise.all([rw.start(alice), rw.start(bob)]);
  await listen(await alice.inside(), { protocol: 'tcp', port: 22 });
  await listen(host, { protocol: 'tcp', port: 80 });
  const places: readonly [string, Place, readonly string[]][] = [
    ['the uplink', outside, ['192.0.2.1', '2001:db8:0:1::1']],
    ['a bridge', stranger ?? outside, ON_BRIDGE],
  ];

  // What is meant to pass does: bob himself, and what lies behind a network that is part of his.
  const inside = await bob.inside();
  const flows = await Promise.all(
    ALICE.map((to) => openFlow(inside, { protocol: 'tcp', to, port: 22, timeout: 3_000 })),
  );
  for (const [, place, gateways] of places) {
    for (const to of gateways)
      expect(await probe(place, { protocol: 'tcp', to, port: 80, timeout: 3_000 })).toBe('allowed');
  }

  for (const [index, source] of IN_EXCEPTION.entries()) {
    const to = ON_BRIDGE[index] ?? '';
    expect(await probe(stranger ?? outside, { protocol: 'tcp', to, port: 80, source, timeout: 3_000 })).toBe('allowed');
  }

  const forged = [0, 1].flatMap((family): Attack[] => {
    const [to = '', own = '', behind = ''] = [ALICE, BOB, IN_IT].map((pair) => pair[family]);
    const hosts = ['192.0.2.1', '2001:db8:0:1::1'][family] ?? '';
    return [
      syn(`bob's address to alice, ${to}`, own, to),
      syn(`an address behind bob to alice, ${to}`, behind, to),
      syn(`a reset of bob's flow, ${to}`, own, to, 'TCP(sport=4000, dport=22, flags="R", seq=0)'),
      syn(`bob's address to the host, ${hosts}`, own, hosts, 'TCP(dport=80, flags="S")'),
      syn(`alice's own address to alice, ${to}`, to, to),
    ];
  });
  const veth = await alice.hostVeth();
  for (const [name, place] of places) {
    const witness = await startWitness(host, { devices: [veth], from: name === 'the uplink' ? 'eth0' : 'br0' });
    const allowed = syn('allowed', name === 'the uplink' ? '192.0.2.2' : STRANGER[0], '192.0.2.1', 'UDP(dport=9)');
    const all = [...forged, allowed];
    await attack({ place, own: BOB }, all);
    await eventually(`${name}: what is allowed is seen`, () => witness.seen(all).includes('allowed'));
    expect(witness.seen(all), name).toEqual(['allowed']);
    await witness.stop();
  }
  for (const flow of flows) expect(await flow.beat()).toBe('alive');
  const { stdout } = await rw.cli('denials', '--json');
  expect(stdout).toContain('"hostVeth": "eth0"');

  // The same packets, where nothing says where a container's addresses are.
  await rw.daemon.stop('SIGKILL');
  const { stdout: listing } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
  const held = [...listing.matchAll(/set (held\S+) \{/g)].map(([, set]) => set ?? '');
  expect(held.length).toBeGreaterThanOrEqual(4);
  for (const set of held) await host.run('nft', ['flush', 'set', 'inet', 'routewall', set]);
  for (const [name, place] of places) {
    const witness = await startWitness(host, { devices: [veth], from: name === 'the uplink' ? 'eth0' : 'br0' });
    await attack({ place, own: BOB }, forged);
    const came = forged.map(([attackName]) => attackName).filter((attackName) => !attackName.startsWith("alice's own"));
    await eventually(`${name}: all come through`, () => came.every((one) => witness.seen(forged).includes(one)));
    await witness.stop();
  }
});

test('what somebody said in its name while it was stopped is no way in to a container', async () => {
  const rw = await startRoutewall({ policies: { 'containers/bob.yaml': 'egress: { default: allow }\n' } });
  const { host, outside } = rw.bed;
  // The host routes once somebody runs.
  await rw.start(await rw.addContainer('alice', { lines: nic(ALICE) }));
  await probe(outside, { protocol: 'udp', to: '192.0.2.1', port: 9 });
  const datagrams = (source: string, sport: number, to: string, dport: number): string =>
    `E/${source.includes(':') ? 'IPv6' : 'IP'}(src="${source}", dst="${to}")/UDP(sport=${sport}, dport=${dport})/M`;
  const answers = BOB.map((to, at): Attack => [`to ${to}`, datagrams(INTERNET[at] ?? '', 7000, to, 53)]);
  const questions = BOB.map((own, at): Attack => [`from ${own}`, datagrams(own, 53, INTERNET[at] ?? '', 7000)]);
  const tracked = async (): Promise<string[]> => {
    const listings = ['ipv4', 'ipv6'].map((family) => host.run('conntrack', ['-L', '-f', family, '-p', 'udp']));
    const lines = (await Promise.all(listings)).flatMap(({ stdout }) => stdout.split('\n'));
    return lines.filter((line) => line.includes('port=7000') && !line.includes('[UNREPLIED]'));
  };
  await attack({ place: outside, own: BOB }, [...questions, ...answers]);
  expect(await tracked()).toHaveLength(2);

  const bob = await rw.addContainer('bob', { lines: nic(BOB) });
  await rw.start(bob);
  const inside = await bob.inside();
  await listen(inside, { protocol: 'udp', port: 53 });
  await eventually('none of it is left', async () => (await tracked()).length === 0).catch(() => undefined);
  await attack({ place: outside, own: BOB }, answers);
  expect(await receipts(inside)).toEqual([]);
  // It gets what it asks for itself, from the same place.
  await listen(outside, { protocol: 'udp', port: 7000 });
  for (const to of INTERNET)
    expect(await probe(inside, { protocol: 'udp', to, port: 7000, timeout: 3_000 })).toBe('allowed');
  // The control: the same packets, where its policy takes them.
  await rw.writePolicy('containers/bob.yaml', 'egress: { default: allow }\ningress: { default: allow }\n');
  await eventually('they come in', async () => {
    await attack({ place: outside, own: BOB }, answers);
    return (await receipts(inside)).length >= 2;
  });
});

/** A datagram in somebody's name from each port in turn, some thousand a second. */
const CHATTER = String.raw`
use Socket;
my ($from, $to) = map { inet_aton($_) } @ARGV;
socket(my $s, AF_INET, SOCK_RAW, 255) or die "$!\n";
for (my $port = 1024; ; $port = $port < 60000 ? $port + 1 : 1024) {
  my $datagram = pack('nnnn', $port, 7000, 8, 0);
  my $packet = pack('CCnnnCCna4a4', 0x45, 0, 28, 0, 0, 64, 17, 0, $from, $to) . $datagram;
  send $s, $packet, 0, pack_sockaddr_in(0, $to) or die "$!\n";
  select undef, undef, undef, 0.0003;
}
`;

test('nor what he goes on saying while it starts', async () => {
  const rw = await startRoutewall({ policies: { 'containers/bob.yaml': 'egress: { default: allow }\n' } });
  const { host, outside } = rw.bed;
  // The host routes once somebody runs.
  await rw.start(await rw.addContainer('alice', { lines: nic(ALICE) }));
  const [own = ''] = BOB;
  const friend = '203.0.113.200';
  await runIp(outside, [`route add ${friend} via 192.0.2.1`]);
  const bob = await rw.addContainer('bob', { lines: [...nic(BOB), `lxc.hook.start-host = ${rw.hook}`] });
  const said = async (): Promise<number> => {
    const { stdout } = await host.run('conntrack', ['-L', '-p', 'udp', '-s', own, '-d', friend]);
    return stdout.split('\n').filter((line) => line !== '').length;
  };
  const chatter = outside.spawn('perl', ['-e', CHATTER, own, friend]);
  for (let round = 0; round < 4; round += 1) {
    await eventually('he is heard', async () => (await said()) > 500);
    await bob.start();
    // Its init runs: whatever is left by now would be answered by it, and by no policy.
    expect(await said()).toBe(0);
    await rw.stop(bob, 'kill');
  }
  await chatter.stop();
});

test('nor what was said while no daemon ran, when it started too', async () => {
  const bobs = { 'containers/bob.yaml': 'egress: { default: allow }\n', 'containers/alice.yaml': OPEN };
  const rw = await startRoutewall({ policies: bobs });
  const { host, outside } = rw.bed;
  const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
  await rw.start(alice);
  await probe(outside, { protocol: 'udp', to: '192.0.2.1', port: 9 });
  await listen(outside, { protocol: 'udp', port: 7000 });
  const own = await openFlow(await alice.inside(), { protocol: 'udp', to: INTERNET[0] ?? '', port: 7000 });
  const idsOf = async (source: string): Promise<string> => {
    const family = source.includes(':') ? 'ipv6' : 'ipv4';
    const { stdout } = await host.run('conntrack', ['-L', '-o', 'id', '-f', family, '-p', 'udp', '-s', source]);
    return [...stdout.matchAll(/ id=(\d+)/g)].map(([, id]) => id).join();
  };
  const asked = await idsOf(ALICE[0]);
  expect(asked).toMatch(/^\d+$/);
  await rw.daemon.stop('SIGKILL');
  const datagram = (source: string, sport: number, to: string, dport: number): string =>
    `E/${source.includes(':') ? 'IPv6' : 'IP'}(src="${source}", dst="${to}")/UDP(sport=${sport}, dport=${dport})/M`;
  const answers = BOB.map((to, at): Attack => [`to ${to}`, datagram(INTERNET[at] ?? '', 7001, to, 53)]);
  const questions = BOB.map((from, at): Attack => [`from ${from}`, datagram(from, 53, INTERNET[at] ?? '', 7001)]);
  await attack({ place: outside, own: BOB }, [...questions, ...answers]);
  for (const address of BOB) expect(await idsOf(address)).toMatch(/^\d+$/);
  const bob = await rw.addContainer('bob', { lines: nic(BOB) });
  await bob.start();
  const inside = await bob.inside();
  await listen(inside, { protocol: 'udp', port: 53 });
  await rw.daemon.restart();
  await rw.statusTells(/bob/);
  await listen(outside, { protocol: 'tcp', port: 80 });
  for (const to of INTERNET)
    expect(await probe(inside, { protocol: 'tcp', to, port: 80, timeout: 4_000 })).toBe('allowed');
  const left = async (): Promise<string> => (await Promise.all(BOB.map(idsOf))).join('');
  await eventually('none of it is left', async () => (await left()) === '').catch(() => undefined);
  await attack({ place: outside, own: BOB }, answers);
  expect(await receipts(inside)).toEqual([]);
  // What a container that ran before asked for lives on.
  expect(await own.beat()).toBe('alive');
  expect(await idsOf(ALICE[0])).toBe(asked);
});

test('nor is its TCP, of which an answer can open nothing', async () => {
  const rw = await startRoutewall({ policies: { 'containers/bob.yaml': 'egress: { default: allow }\n' } });
  const { host, outside } = rw.bed;
  await rw.start(await rw.addContainer('alice', { lines: nic(ALICE) }));
  await probe(outside, { protocol: 'udp', to: '192.0.2.1', port: 9 });
  // As a stranger leaves it; an entry that is made so lets pass any number in a sequence.
  const [own = '', peer = ''] = [BOB[0], INTERNET[0]];
  const ends = ['-p', 'tcp', '-s', own, '-d', peer, '--sport', '22', '--dport', '7000'];
  await host.run('conntrack', ['-I', ...ends, '--state', 'ESTABLISHED', '-u', 'SEEN_REPLY,ASSURED', '-t', '600']);
  const bob = await rw.addContainer('bob', { lines: nic(BOB) });
  await rw.start(bob);
  const inside = await bob.inside();
  await listen(inside, { protocol: 'tcp', port: 22 });
  const heard = async (): Promise<number> => {
    const { stdout } = await inside.run('cat', ['/proc/net/snmp']);
    const [names = [], values = []] = stdout
      .split('\n')
      .flatMap((line) => (/^Tcp:/.test(line) ? [line.split(' ')] : []));
    return Number(values[names.indexOf('InSegs')]);
  };
  const syn: Attack = ['SYN', `E/IP(src="${peer}", dst="${own}")/TCP(sport=7000, dport=22, flags="S", seq=1)/M`];
  const knocks = async (): Promise<number> => {
    const before = await heard();
    await attack({ place: outside, own: BOB }, [syn]);
    await sleep(300);
    return (await heard()) - before;
  };
  expect((await host.run('conntrack', ['-L', ...ends])).stdout).toContain('ESTABLISHED');
  expect(await knocks()).toBe(0);
  // The control: the same packet, where its policy takes it.
  await rw.writePolicy('containers/bob.yaml', 'egress: { default: allow }\ningress: { default: allow }\n');
  await host.runForResult('conntrack', ['-D', ...ends]);
  await eventually('it comes in', async () => (await knocks()) > 0);
});
