/** What becomes of translations when containers stop, policies change, and others interfere; and what containers try. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { withoutFilled } from '../../sandbox/nft-listing.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, type Port, probe, receipts } from '../../sandbox/services.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const HOST = '192.0.2.1';
const NEIGHBOUR = '192.0.2.2';

const web = (publish: string, clients = 'any', port = 80): string => `
publish: [${publish}]
ingress: { rules: [{ allow: [tcp/${port}, udp/53], from: "${clients}" }] }
`;
const PORTS = `{ tcp: 8080, to: 80, on: ${HOST} }, { udp: 5353, to: 53, on: ${HOST} }`;
const SERVED: readonly Port[] = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'udp', port: 53 },
];

interface Scene {
  readonly routewall: Routewall;
  readonly container: Container;
  readonly inside: Place;
}

async function start(policy: string, config = ''): Promise<Scene> {
  const routewall = await startRoutewall({ host: { routedPrefixes: [] }, config });
  const container = await routewall.addContainer('web', { lines: nic(addressesOf(10)), policy });
  await routewall.start(container);
  const inside = await container.inside();
  await listen(inside, ...SERVED);
  return { routewall, container, inside };
}

const ask = (from: Place, port = 8080, protocol: 'tcp' | 'udp' = 'tcp') =>
  probe(from, { protocol, to: HOST, port, timeout: 1500 });

const reached = (from: Place, port?: number, protocol?: 'tcp' | 'udp') =>
  eventually('the port is reached', async () => (await ask(from, port, protocol)) === 'allowed', 10_000);

const isCut = (flow: Flow) =>
  eventually('the flow is cut', async () => (await flow.beat(300)) !== 'alive', 10_000).then(() => undefined);

const chainsOf = async ({ bed: { host } }: Routewall): Promise<string> =>
  (await host.run('nft', ['list', 'chains', 'inet'])).stdout;

it('begins with the container and ends with it, and nothing is left of it', async () => {
  const { routewall, container } = await start(`masquerade: true\n${web(PORTS)}`);
  const { outside, host } = routewall.bed;
  expect(await ask(outside)).toBe('allowed');
  expect(await chainsOf(routewall)).toMatch(/publish_in[\s\S]*masquerade_out|masquerade_out[\s\S]*publish_in/);
  await routewall.stop(container);
  expect(await ask(outside)).toBe('refused');
  expect(await chainsOf(routewall)).not.toMatch(/publish|masquerade/);
  const { stdout } = await host.run('nft', ['list', 'sets', 'inet']);
  expect(stdout).not.toMatch(/publish|masquerade/);
  // A client that goes on sending while nobody is there is served again.
  const flow = openFlow(outside, { protocol: 'udp', to: HOST, port: 5353, timeout: 20_000 });
  flow.catch(() => undefined);
  await routewall.start(container);
  await listen(await container.inside(), ...SERVED);
  await reached(outside);
  await reached(outside, 5353, 'udp');
});

it('is put back when others change it', async () => {
  const { routewall } = await start(`masquerade: true\n${web(PORTS)}`);
  const { outside, host } = routewall.bed;
  // Chains that were deleted come back in another place.
  const list = async (): Promise<string[]> =>
    withoutFilled((await host.run('nft', ['-s', 'list', 'table', 'inet', 'routewall'])).stdout)
      .split('\n')
      .sort();
  const good = await list();
  for (const harm of [
    'flush chain inet routewall publish_in',
    'flush map inet routewall published4',
    'flush set inet routewall masqueraded4',
    'delete chain inet routewall masquerade_out',
    'add rule inet routewall publish_out drop',
  ]) {
    await host.run('nft', [harm]);
    await eventually(`mended: ${harm}`, async () => (await list()).join() === good.join(), 10_000);
  }
  await reached(outside);
});

it('leaves the translations of others alone', async () => {
  const { routewall, container } = await start(`masquerade: true\n${web(PORTS)}`);
  const { host, outside } = routewall.bed;
  await host.run('nft', [
    'table ip other { chain pre { type nat hook prerouting priority dstnat; tcp dport { 8080, 8888 } dnat to 198.51.100.10:80; }; chain post { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }',
  ]);
  const { stdout: before } = await host.run('nft', ['list', 'table', 'ip', 'other']);
  const flow = await openFlow(outside, { protocol: 'tcp', to: HOST, port: 8888, timeout: 3_000 });
  await routewall.writePolicy('containers/web.yaml', web('{ tcp: 9090, to: 80 }'));
  await reached(outside, 9090);
  expect(await flow.beat()).toBe('alive');
  await routewall.stop(container);
  expect((await host.run('nft', ['list', 'table', 'ip', 'other'])).stdout).toBe(before);
});

it('cuts a translated connection that the policy no longer allows, and one whose port is no longer published', async () => {
  const { routewall, inside } = await start(web(`${PORTS}, { tcp: 8081, to: 81, on: ${HOST} }`));
  const { outside } = routewall.bed;
  await listen(inside, { protocol: 'tcp', port: 81 });
  const both = (text: string): string => text.replace('tcp/80', 'tcp/80, tcp/81');
  await routewall.writePolicy('containers/web.yaml', both(web(`${PORTS}, { tcp: 8081, to: 81, on: ${HOST} }`)));
  await reached(outside, 8081);
  const [stays, unpublished] = await Promise.all(
    [8080, 8081].map((port) => openFlow(outside, { protocol: 'tcp', to: HOST, port, timeout: 3_000 })),
  );
  if (stays === undefined || unpublished === undefined) throw new Error('two flows were opened');
  await routewall.writePolicy('containers/web.yaml', both(web(PORTS)));
  await isCut(unpublished);
  expect(await stays.beat()).toBe('alive');
  await routewall.writePolicy('containers/web.yaml', web(PORTS, '203.0.113.0/24'));
  await isCut(stays);
  // What publishes opens nothing.
  expect(await ask(outside)).toBe('dropped');
});

it('keeps a port for the container that has it, through a restart of the daemon, until it stops', async () => {
  const { routewall, container } = await start(web(PORTS));
  const { outside } = routewall.bed;
  // First by its name, and yet second.
  const rival = await routewall.addContainer('a-rival', { lines: nic(addressesOf(20)), policy: web(PORTS) });
  await routewall.start(rival);
  const theirs = await rival.inside();
  await listen(theirs, ...SERVED);
  const told = /a-rival\.yaml:2:\d+: error: tcp\/8080 on 192\.0\.2\.1 is published by container web/;
  expect(routewall.daemon.log().join('\n')).toMatch(told);
  await routewall.daemon.stop('SIGKILL');
  await routewall.daemon.restart();
  expect(await ask(outside)).toBe('allowed');
  expect(await receipts(theirs)).toEqual([]);
  await routewall.stop(container);
  await reached(outside);
  expect(await receipts(theirs)).not.toEqual([]);
});

it('sends nothing of a container that is gone out of an uplink, also where nobody took its ports down', async () => {
  const { routewall, container } = await start(web(PORTS));
  const { outside, host } = routewall.bed;
  await routewall.daemon.stop('SIGKILL');
  await container.stop('kill');
  const capture = await startCapture(host, { device: 'eth0', filter: 'dst host 198.51.100.10', direction: 'out' });
  expect(await ask(outside)).toBe('dropped');
  expect(await ask(host)).not.toBe('allowed');
  expect(capture.lines()).toEqual([]);
  // The control: without our rule it leaves.
  await host.run('nft', ['flush chain inet routewall publish_out']);
  await ask(outside);
  await eventually('a packet leaves', () => capture.lines().length > 0);
});

/** Sends from a source port to a port, as the place's root can. */
const send = (place: Place, { from, to, port, text }: { from: number; to: string; port: number; text: string }) =>
  place.run('/usr/bin/python3', [
    '-c',
    `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", ${from})); s.sendto(b"${text}", ("${to}", ${port}))`,
  ]);

it('gives no container the packets of a published port by a source port of its choice', async () => {
  const { routewall, inside } = await start(web(PORTS));
  const { outside, host } = routewall.bed;
  const thief = await routewall.addContainer('thief', {
    lines: nic(addressesOf(20)),
    policy: 'masquerade: true\negress: { default: allow }\n',
  });
  await routewall.start(thief);
  const theirs = await thief.inside();
  const served = async (): Promise<number> =>
    (await receipts(inside)).filter(({ protocol }) => protocol === 'udp').length;
  // As if it were an answer to the client that will come from there.
  await send(theirs, { from: 5353, to: NEIGHBOUR, port: 20_000, text: 'hole' });
  await send(outside, { from: 20_000, to: HOST, port: 5353, text: 'question' });
  await eventually('the published container got it', async () => (await served()) === 1);
  // The control: masqueraded in the ordinary way, the hole is one. What a source was given once it is given again.
  await routewall.daemon.stop('SIGKILL');
  await host.run('nft', [
    'flush chain inet routewall masquerade_as_uplink; add rule inet routewall masquerade_as_uplink masquerade',
  ]);
  await host.run('conntrack', ['-F']);
  const capture = await startCapture(theirs, { device: 'eth0', filter: 'udp dst port 5353', direction: 'in' });
  await send(theirs, { from: 5353, to: NEIGHBOUR, port: 20_001, text: 'hole' });
  await send(outside, { from: 20_001, to: HOST, port: 5353, text: 'question' });
  await eventually('the thief got it', () => capture.lines().length > 0);
});

it("gives nobody the packets of a published port by a flow in the host's name", async () => {
  const [host6, neighbour6] = ['2001:db8:0:1::1', '2001:db8:0:1::2'];
  const { routewall, inside } = await start(web(`{ udp: 5353, to: 53, on: "${host6}" }`));
  const { outside, host } = routewall.bed;
  const policy = 'egress: { default: allow }\n';
  const thief = await routewall.addContainer('thief', { lines: nic(addressesOf(20)), policy });
  await routewall.start(thief);
  const theirs = await thief.inside();
  // The kernel itself knows an IPv4 packet from its own address for a forged one, but not of IPv6.
  await theirs.run('ip', ['address', 'add', `${host6}/128`, 'dev', 'eth0', 'nodad']);
  const speak = (place: Place, from: readonly [string, number], to: readonly [string, number]) =>
    place.run('/usr/bin/python3', [
      '-c',
      `import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("${from[0]}", ${from[1]})); s.sendto(b"x", ("${to[0]}", ${to[1]}))`,
    ]);
  const tracked = async (port: number): Promise<string> =>
    (await host.run('conntrack', ['-L', '-f', 'ipv6', '-p', 'udp', '--sport', '5353', '--dport', `${port}`])).stdout;
  await speak(theirs, [host6, 5353], [neighbour6, 20_000]);
  await speak(outside, [neighbour6, 20_000], [host6, 5353]);
  await eventually('the published container got it', async () => (await receipts(inside)).length === 1);
  expect(await tracked(20_000)).not.toContain(host6);
  // The control: a forged flow takes the client's question for its answer.
  await routewall.daemon.stop('SIGKILL');
  await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'antispoof']);
  await speak(theirs, [host6, 5353], [neighbour6, 20_001]);
  await eventually('it is a flow', async () => (await tracked(20_001)).includes('[UNREPLIED]'));
  await speak(outside, [neighbour6, 20_001], [host6, 5353]);
  await eventually('it has its answer', async () => /^udp (?!.*UNREPLIED)/m.test(await tracked(20_001)));
  expect(await receipts(inside)).toHaveLength(1);
});

it("masquerades nobody into a network that is no uplink's", async () => {
  const { routewall } = await start(web(PORTS), 'uplinks: [eth0]\n');
  const { host } = routewall.bed;
  const management = await createNamespace('management');
  await createWire(
    { namespace: host, name: 'mgmt', addresses: ['203.0.113.129/25'] },
    { namespace: management, name: 'eth0', addresses: ['203.0.113.130/25'] },
  );
  await listen(management, { protocol: 'udp', port: 53 });
  const thief = await routewall.addContainer('thief', {
    lines: nic(addressesOf(20)),
    policy: 'masquerade: true\negress: { default: allow }\n',
  });
  await routewall.start(thief);
  await host.run('sysctl', ['-qw', 'net.ipv4.conf.mgmt.forwarding=1']);
  const theirs = await thief.inside();
  const target = { protocol: 'udp', to: '203.0.113.130', port: 53 } as const;
  expect(await probe(theirs, target)).toBe('dropped');
  expect((await receipts(management)).filter(({ from }) => !from.includes('198.51.100.20'))).toEqual([]);
  // The control: an answer would come back if the network knew the way, or took it for the host.
  await runIp(management, ['route add 198.51.100.20 via 203.0.113.129']);
  expect(await probe(theirs, target)).toBe('allowed');
});

it('lets a container neither publish a port nor take one by what it sends', async () => {
  const { routewall, inside } = await start(web(PORTS));
  const { outside } = routewall.bed;
  const thief = await routewall.addContainer('thief', {
    lines: nic(addressesOf(20)),
    policy: 'egress: { default: allow }\ningress: { default: allow }\n',
  });
  await routewall.start(thief);
  const theirs = await thief.inside();
  await theirs.run('ip', ['address', 'add', `${HOST}/32`, 'dev', 'eth0']);
  await theirs.run('ip', ['address', 'add', '198.51.100.10/32', 'dev', 'eth0']);
  await listen(theirs, { protocol: 'tcp', port: 8080 }, ...SERVED);
  await theirs.runForResult('arping', ['-c', '2', '-A', '-I', 'eth0', HOST]);
  for (let round = 0; round < 3; round += 1) expect(await ask(outside)).toBe('allowed');
  await sleep(100);
  expect(await receipts(theirs)).toEqual([]);
  expect((await receipts(inside)).length).toBeGreaterThanOrEqual(3);
});
