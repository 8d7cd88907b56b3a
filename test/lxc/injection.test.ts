/** No container touches another's flows, and the errors that its own flows need do come. */
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, setSysctls } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const MALLORY = addressesOf(66);
const ALICE = addressesOf(10);
const SERVERS = { 4: '203.0.113.80', 6: '2001:db8:ffff::80' } as const;
const OWN = { 4: ALICE[0], 6: ALICE[1] } as const;

interface Arena {
  readonly rw: Routewall;
  readonly mallory: Container;
  readonly alice: Container;
}

/** Both may do all that a policy can allow. */
async function openArena(): Promise<Arena> {
  const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': OPEN, 'containers/alice.yaml': OPEN } });
  const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
  const alice = await rw.addContainer('alice', { lines: nic(ALICE) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  await listen(rw.bed.outside, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 80 });
  await listen(rw.bed.host, { protocol: 'tcp', port: 80 });
  await probe(await mallory.inside(), { protocol: 'tcp', to: '192.0.2.1', port: 80 });
  return { rw, mallory, alice };
}

/** The port that the place's connection to port 80 comes from, and the flow as conntrack knows it. */
async function portOf(place: Place, address: string): Promise<number> {
  const { stdout } = await place.run('ss', ['-Hnt']);
  const port = stdout.split('\n').flatMap((line) => {
    const [, own, peer] = /:(\d+)\s+\[?([0-9a-f.:]+?)\]?:80\s*$/.exec(line.trim()) ?? [];
    return peer === address ? [Number(own)] : [];
  })[0];
  if (port === undefined) throw new Error(`${place.label}: no flow to ${address}\n${stdout}`);
  return port;
}

async function flowOf(host: Place, source: string, port: number): Promise<string> {
  const { stdout } = await host.run('conntrack', [
    '-L',
    '-f',
    source.includes(':') ? 'ipv6' : 'ipv4',
    '-p',
    'tcp',
    '-s',
    source,
    '--sport',
    String(port),
  ]);
  return stdout.replace(/^tcp +6 \d+ /, '').replace(/ +$/, '');
}

const sender = async (container: Container, own: readonly [string, string]) => ({
  place: await container.inside(),
  own,
});

describe.each([4, 6] as const)("a sibling's IPv%i flow", (family) => {
  const server = SERVERS[family];
  const layer = family === 4 ? 'IP' : 'IPv6';

  test('takes no segment with a forged source', async () => {
    const { rw, mallory, alice } = await openArena();
    const inside = await alice.inside();
    const flow = await openFlow(inside, { protocol: 'tcp', to: server, port: 80, timeout: 3_000 });
    const port = await portOf(inside, server);
    const before = await flowOf(rw.bed.host, OWN[family], port);
    expect(before).toContain('ESTABLISHED');
    const devices = ['eth0', await alice.hostVeth()];
    const witness = await startWitness(rw.bed.host, { devices, from: await mallory.hostVeth() });
    const segment = (from: string, to: string, sport: number, dport: number, flags: string): string =>
      `[E/${layer}(src="${from}", dst="${to}")/TCP(sport=${sport}, dport=${dport}, flags="${flags}", seq=s, ack=s)/M for s in range(0, 2**32, 2**26)]`;
    const forged: Attack[] = ['R', 'RA', 'SA', 'S', 'A', 'FA'].flatMap((flags): Attack[] => [
      [`${flags} as the sibling`, segment(OWN[family], server, port, 80, flags)],
      [`${flags} as its server`, segment(server, OWN[family], 80, port, flags)],
    ]);
    await attack(await sender(mallory, MALLORY), forged);
    expect(await flowOf(rw.bed.host, OWN[family], port)).toBe(before);
    expect(await flow.beat()).toBe('alive');
    expect(witness.seen(forged)).toEqual([]);
    await witness.stop();
  });

  test('takes no ICMP error from a container that has no part in it, though conntrack says it is related', async () => {
    const { rw, mallory, alice } = await openArena();
    const inside = await alice.inside();
    const flow = await openFlow(inside, { protocol: 'tcp', to: server, port: 80, timeout: 3_000 });
    const port = await portOf(inside, server);
    const own = await openFlow(rw.bed.host, { protocol: 'tcp', to: server, port: 80, timeout: 3_000 });
    const hostPort = await portOf(rw.bed.host, server);
    const hostAddress = family === 4 ? '192.0.2.1' : '2001:db8:0:1::1';
    const devices = ['eth0', await alice.hostVeth()];
    const witness = await startWitness(rw.bed.host, { devices, from: await mallory.hostVeth() });
    const [me, header] =
      family === 4 ? ['ME4', 'ICMP(type=3, code=4, nexthopmtu=576)'] : ['ME6', 'ICMPv6PacketTooBig(mtu=1280)'];
    const about = (to: string, quoted: string): string => `E/${layer}(src=${me}, dst="${to}")/${header}/${quoted}/M`;
    const quote = (from: string, to: string, sport: number, dport: number): string =>
      `${layer}(src="${from}", dst="${to}")/TCP(sport=${sport}, dport=${dport}, seq=1)`;
    const errors: Attack[] = [
      ['to the sibling', about(OWN[family], quote(OWN[family], server, port, 80))],
      ["to the sibling's server", about(server, quote(server, OWN[family], 80, port))],
      ['to the host, about its own flow', about(hostAddress, quote(hostAddress, server, hostPort, 80))],
    ];
    await attack(await sender(mallory, MALLORY), errors);
    await attack(await sender(mallory, MALLORY), errors);
    expect(await flow.beat()).toBe('alive');
    expect(await own.beat()).toBe('alive');
    expect(witness.seen(errors)).toEqual([]);
    const mtus = await Promise.all(
      [inside, rw.bed.host].map(async (place) => (await place.run('ip', ['route', 'get', server])).stdout),
    );
    expect(mtus.join()).not.toMatch(/ mtu /);
    await witness.stop();
  });
});

describe("a neighbour table of the host's", () => {
  test('learns a container by its own addresses, never by a foreign one', async () => {
    const { rw, mallory } = await openArena();
    const { host } = rw.bed;
    const veth = await mallory.hostVeth();
    const table = async (): Promise<string> => (await host.run('ip', ['neigh', 'show', 'dev', veth])).stdout;
    const arp = (source: string): string =>
      `E/ARP(op=1, psrc="${source}", pdst="169.254.0.1", hwdst="00:00:00:00:00:00")`;
    const solicit = (source: string): string =>
      `E/IPv6(src="${source}", dst="fe80::1", hlim=255)/ICMPv6ND_NS(tgt="fe80::1")/ICMPv6NDOptSrcLLAddr(lladdr=get_if_hwaddr("eth0"))`;
    const advert = (target: string): string =>
      `E/IPv6(src="fe80::66", dst="fe80::1", hlim=255)/ICMPv6ND_NA(tgt="${target}", S=1, O=1)/ICMPv6NDOptDstLLAddr(lladdr=get_if_hwaddr("eth0"))`;
    const foreign = ['192.0.2.2', '203.0.113.80', ALICE[0], '2001:db8:0:1::2', ALICE[1]];
    const from = await sender(mallory, MALLORY);
    await attack(
      from,
      foreign.flatMap((address): Attack[] =>
        address.includes(':')
          ? [
              [`solicitation from ${address}`, solicit(address)],
              [`advertisement of ${address}`, advert(address)],
            ]
          : [[`ARP from ${address}`, arp(address)]],
      ),
    );
    await attack(from, [
      ['its own ARP', arp(MALLORY[0])],
      ['its own solicitation', solicit(MALLORY[1])],
    ]);
    // Its own come last: when they are here, all others would be.
    await eventually('its own addresses are known', async () => {
      const known = (await table()).split('\n').map((line) => line.split(' ')[0]);
      return MALLORY.every((own) => known.includes(own));
    });
    const known = (await table()).split('\n').map((line) => line.split(' ')[0] ?? '');
    expect(known.filter((address) => foreign.includes(address))).toEqual([]);
    // The same are learned where the tables are gone.
    await rw.daemon.stop('SIGKILL');
    for (const family of ['inet', 'arp']) await host.run('nft', ['delete', 'table', family, 'routewall']);
    await attack(from, [
      ...foreign.filter((address) => !address.includes(':')).map((one): Attack => [`ARP from ${one}`, arp(one)]),
      ...foreign.filter((address) => address.includes(':')).map((one): Attack => [`from ${one}`, solicit(one)]),
    ]);
    await eventually('a foreign one of each family is known', async () => {
      const learned = await table();
      return learned.includes(`${ALICE[0]} `) && learned.includes(`${ALICE[1]} `);
    });
  });
});

describe('an ICMP error about an own flow', () => {
  const FAR = { 4: '203.0.113.130', 6: '2001:db8:ffff:1::2' } as const;
  const POLICY = 'egress:\n  rules:\n    - allow: tcp/80\n      to: any\n';
  const upload = (to: string): string => `
import socket, threading
s = socket.create_connection(("${to}", 80), timeout=4)
threading.Thread(target=lambda: s.sendall(b"x" * 200000), daemon=True).start()
got = 0
try:
    while got < 200000: got += len(s.recv(65536))
except OSError: pass
print("whole" if got >= 200000 else "cut")
`;

  test.each([4, 6] as const)('comes through: a narrower link on the way is found in IPv%i', async (family) => {
    const rw = await startRoutewall({ policies: { 'containers/web.yaml': POLICY } });
    const { outside, host } = rw.bed;
    const far = await createNamespace('far');
    await createWire(
      { namespace: outside, name: 'far', addresses: ['203.0.113.129/30', '2001:db8:ffff:1::1/64'] },
      { namespace: far, name: 'eth0', addresses: [`${FAR[4]}/30`, `${FAR[6]}/64`] },
    );
    await setSysctls(outside, { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' });
    await runIp(far, ['route add 0.0.0.0/0 via 203.0.113.129', 'route add ::/0 via 2001:db8:ffff:1::1']);
    await runIp(outside, ['route add 203.0.113.130/32 dev far mtu 1400', `route add ${FAR[6]}/128 dev far mtu 1400`]);
    await listen(far, { protocol: 'tcp', port: 80 });
    const web = await rw.addContainer('web', { lines: nic(ALICE) });
    await rw.start(web);
    const inside = await web.inside();
    const send = async (): Promise<string> =>
      (await inside.run('/usr/bin/python3', ['-c', upload(FAR[family])])).stdout.trim();
    const errors = family === 4 ? 'icmp type destination-unreachable' : 'icmpv6 type packet-too-big';
    const forward = 'type filter hook forward priority -300;';
    await host.run('nft', [`table inet deaf { chain forward { ${forward} ${errors} drop; }; }`]);
    expect(await send()).toBe('cut');
    await host.run('nft', ['delete', 'table', 'inet', 'deaf']);
    expect(await send()).toBe('whole');
    expect((await inside.run('ip', ['route', 'get', FAR[family]])).stdout).toContain('mtu 1400');
  });
});

describe('a connection that both ends begin at once', () => {
  const STRICT = 'egress: { default: drop }\n';
  const SYN = 'flags="S", seq=7';

  const OPENS = 'egress:\n  rules:\n    - allow: tcp/80\n      to: any\n';

  test.each(
    ([4, 6] as const).flatMap((family) => [
      ['is none where the policy allows neither of them', family, STRICT, []] as const,
      ['is one where it allows the container to begin', family, OPENS, ['in', 'out']] as const,
    ]),
  )('%s, in IPv%i', async (_, family, policy, expected) => {
    const [layer, own] = family === 4 ? (['IP', MALLORY[0]] as const) : (['IPv6', MALLORY[1]] as const);
    const server = SERVERS[family];
    const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': policy } });
    const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
    await rw.start(mallory);
    const { host, outside } = rw.bed;
    const veth = await mallory.hostVeth();
    // Both learn their gateways' hardware addresses, whatever comes of it.
    await probe(await mallory.inside(), { protocol: 'tcp', to: server, port: 9 });
    await probe(outside, { protocol: 'tcp', to: own, port: 9 });
    // Nobody listens there, and its reset would end what began.
    const silence = 'add chain inet silence output { type filter hook output priority 0; }';
    await outside.run('nft', [`add table inet silence; ${silence}; add rule inet silence output tcp flags rst drop`]);
    const witness = await startWitness(host, { devices: ['eth0', veth], from: veth });
    const out: Attack = ['out', `E/${layer}(src="${own}", dst="${server}")/TCP(sport=4000, dport=80, ${SYN})/M`];
    const back: Attack = ['in', `E/${layer}(src="${server}", dst="${own}")/TCP(sport=80, dport=4000, ${SYN})/M`];
    const nothing: Attack = ['nothing', '[]'];
    const ends = [
      [await sender(mallory, MALLORY), [nothing, out]],
      [{ place: outside, own: [SERVERS[4], SERVERS[6]] }, [back, nothing]],
    ] as const;
    for (const [from, frames] of [...ends, ...ends]) await attack(from, frames);
    expect(witness.seen([back, out])).toEqual(expected);
    await witness.stop();
  });
});
