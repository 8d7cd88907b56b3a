/** Peers that are names: followed as DNS answers, by real containers, with a DNS server beside the host. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listOf, textOf } from '../../sandbox/json.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { addressesOf, nic, type Routewall, type RoutewallOptions, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [FIRST, SECOND, THIRD] = ['203.0.113.80', '203.0.113.81', '203.0.113.82'];
const FIRST6 = '2001:db8:ffff::80';

const TO_DEB = 'egress:\n  rules:\n    - allow: tcp/80\n      to: dns:deb.example\n';
const CONFIG = 'dns:\n  servers: [192.0.2.2]\n';

interface Bed {
  readonly routewall: Routewall;
  readonly web: Place;
  readonly server: DnsServer;
}

async function startBed(policy: string, options: RoutewallOptions = {}): Promise<Bed> {
  let server: DnsServer | undefined;
  const routewall = await startRoutewall({
    config: CONFIG,
    policies: { 'containers/web.yaml': policy },
    host: { internet: [FIRST, SECOND, THIRD, FIRST6] },
    prepare: async ({ outside }) => {
      server = await startDnsServer(outside);
    },
    ...options,
  });
  if (server === undefined) throw new Error('the server was started');
  const container = await routewall.addContainer('web', { lines: nic(addressesOf(20)) });
  await routewall.start(container);
  const web = await container.inside();
  await listen(routewall.bed.outside, { protocol: 'tcp', port: 80 });
  await listen(routewall.bed.host, { protocol: 'tcp', port: 80 });
  return { routewall, web, server };
}

/** Names are asked about again at once. */
const askAgain = (routewall: Routewall): void => routewall.daemon.child().signal('SIGHUP');

const reach = (web: Place, to: string) => probe(web, { protocol: 'tcp', to, port: 80 });

const isAllowed = (web: Place, to: string): Promise<boolean> =>
  eventually(`${to} is allowed`, async () => (await reach(web, to)) === 'allowed', 15_000);

const chainsOf = async (host: Place): Promise<string> =>
  (await host.run('nft', ['list', 'table', 'inet', 'routewall'])).stdout.replace(/^\tset [^}]*}\n(?:\s*}\n)?/gm, '');

it('allows nothing before the first answer, then what the latest one holds, and touches no chain for it', async () => {
  const { routewall, web, server } = await startBed(TO_DEB, { config: `${CONFIG}  hold: 0\n` });
  // Nobody knows the name yet.
  expect(await reach(web, FIRST)).toBe('dropped');
  const before = await chainsOf(routewall.bed.host);
  await server.setZone({
    'deb.example': ['one.example.'],
    'one.example': ['two.example.'],
    'two.example': [FIRST, FIRST6],
  });
  askAgain(routewall);
  await isAllowed(web, FIRST);
  await isAllowed(web, FIRST6);
  expect(await reach(web, SECOND)).toBe('dropped');
  const [left, kept] = await Promise.all([FIRST, FIRST6].map((to) => openFlow(web, { protocol: 'tcp', to, port: 80 })));
  // The TTL of a second leads to the next question, though not at once.
  await server.setZone({ 'deb.example': [SECOND, FIRST6] });
  await isAllowed(web, SECOND);
  expect(await reach(web, FIRST)).toBe('dropped');
  await eventually('the connection to what left the answer is cut', async () => (await left?.beat(300)) !== 'alive');
  expect(await kept?.beat()).toBe('alive');
  expect(await reach(web, THIRD)).toBe('dropped');
  expect(await chainsOf(routewall.bed.host)).toBe(before);
  const { stdout } = await routewall.cli('status', '--json');
  const [name] = listOf(Reflect.get(JSON.parse(stdout), 'names'));
  expect(textOf(name, 'name')).toBe('deb.example');
  expect(Reflect.get(Object(name), 'addresses')).toEqual([FIRST6, SECOND].sort());
});

it('keeps the last answer while servers fail, over a restart too, and writes nothing then', async () => {
  const { routewall, web, server } = await startBed(TO_DEB);
  const flow = { protocol: 'tcp', to: FIRST, port: 80 } as const;
  await server.setZone({ 'deb.example': [FIRST] });
  askAgain(routewall);
  await isAllowed(web, FIRST);
  const open = await openFlow(web, flow);
  await server.setZone({ 'deb.example': 'SERVFAIL' });
  askAgain(routewall);
  await routewall.daemon.waitForLog(/dns:deb\.example: ESERVFAIL; 1 addresses stay/);
  expect(await reach(web, FIRST)).toBe('allowed');
  await server.stop();
  await routewall.daemon.restart();
  await routewall.daemon.waitForLog(/ready: 1 interfaces enforced, 0 changes written/);
  expect(await reach(web, FIRST)).toBe('allowed');
  expect(await open.beat()).toBe('alive');
  expect(await readFile(join(routewall.env['STATE_DIRECTORY'] ?? '', 'last-good.nft'), 'utf8')).toContain(FIRST);
  // A control: an answer that is too old by now ends, and the connection to it with it.
  await routewall.daemon.stop();
  const file = join(routewall.env['STATE_DIRECTORY'] ?? '', 'dns-answers.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/"seen":\d+/, `"seen":${Date.now() - 7 * 3_600_000}`));
  await routewall.daemon.restart();
  expect(await reach(web, FIRST)).toBe('dropped');
  await eventually('the connection is cut', async () => (await open.beat(300)) !== 'alive', 10_000);
});

it('does not believe a name that points to the host, to private networks or to other containers', async () => {
  const { routewall, web, server } = await startBed(
    `${TO_DEB}ingress:\n  rules:\n    - allow: tcp/80\n      from: any\n`,
  );
  const other = await routewall.addContainer('other', {
    lines: nic(addressesOf(21)),
    policy: 'ingress:\n  default: allow\n',
  });
  await routewall.start(other);
  await listen(await other.inside(), { protocol: 'tcp', port: 80 });
  const [OTHER] = addressesOf(21);
  await server.setZone({
    'deb.example': [FIRST, '192.0.2.1', '192.0.2.2', OTHER, '10.0.0.1', '127.0.0.1', '169.254.0.1'],
  });
  askAgain(routewall);
  await isAllowed(web, FIRST);
  for (const to of ['192.0.2.1', '192.0.2.2', OTHER, '169.254.0.1'])
    expect(await reach(web, to), to).not.toBe('allowed');
  await routewall.daemon.waitForLog(/dns:deb\.example: 192\.0\.2\.1 is ignored: it is an address of this host/);
  // Also of those that nobody here has.
  await eventually('the one that counts is told', async () => {
    const { stdout } = await routewall.cli('status', '--json');
    const [name] = listOf(Reflect.get(JSON.parse(stdout), 'names'));
    return JSON.stringify(Reflect.get(Object(name), 'addresses')) === JSON.stringify([FIRST]);
  });
  // The control: what the administrator accepts is reached in the same way.
  await writeFile(routewall.configFile, `${CONFIG}  accept: [${OTHER}/32]\n`);
  await isAllowed(web, OTHER);
  expect(await reach(web, '192.0.2.1')).not.toBe('allowed');
});

it('nor one that points to what is the host by a local route alone', async () => {
  const { routewall, web, server } = await startBed(TO_DEB);
  const { host } = routewall.bed;
  await host.run('ip', ['route', 'add', 'local', `${SECOND}/32`, 'dev', 'lo']);
  await server.setZone({ 'deb.example': [FIRST, SECOND] });
  askAgain(routewall);
  await isAllowed(web, FIRST);
  expect(await reach(web, SECOND)).not.toBe('allowed');
  // The control: the host listens there, and elsewhere the address is reached.
  expect(await probe(host, { protocol: 'tcp', to: SECOND, port: 80 })).toBe('allowed');
  await host.run('ip', ['route', 'del', 'local', `${SECOND}/32`, 'dev', 'lo']);
  await isAllowed(web, SECOND);
});

it('follows a name with more addresses than a datagram holds', async () => {
  const { routewall, server } = await startBed(TO_DEB);
  const many = Array.from({ length: 100 }, (_, index) => `198.18.0.${index + 1}`);
  await server.setZone({ 'deb.example': many });
  askAgain(routewall);
  await routewall.daemon.waitForLog(/dns:deb\.example: .*; 100 addresses/);
  expect(server.asked().tcp).toBeGreaterThan(0);
});
