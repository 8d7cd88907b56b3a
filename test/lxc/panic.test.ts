/** Sealed at once and until it is switched off, with and without a daemon; a container beside it is the control. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

let routewall: Routewall;
let web: Container;
let places: {
  readonly outside: Place;
  readonly host: Place;
  readonly web: Place;
  readonly mail: Place;
};

const PORT = 80;
const OUTSIDE = '203.0.113.80';
const SERVICE = { protocol: 'tcp', port: PORT } as const;

beforeEach(async () => {
  routewall = await startRoutewall();
  const { bed } = routewall;
  web = await routewall.addContainer('web', {
    policy: OPEN,
    lines: nic(addressesOf(20), { extra: ['veth.pair = web0'] }),
  });
  const mail = await routewall.addContainer('mail', { policy: OPEN, lines: nic(addressesOf(30)) });
  for (const container of [web, mail]) await routewall.start(container);
  places = { outside: bed.outside, host: bed.host, web: await web.inside(), mail: await mail.inside() };
  for (const place of Object.values(places)) await listen(place, SERVICE);
});

const WAYS = [
  ['outside', 20],
  ['host', 20],
  ['mail', 20],
  ['web', 30],
  ['web', OUTSIDE],
] as const;

/** For each way in and out of web, and for one of mail, whether a new connection comes through. */
async function reachable(): Promise<Record<string, boolean>> {
  const all = [...WAYS, ['outside', 30] as const];
  const rows = all.flatMap(([from, to]) =>
    (typeof to === 'number' ? addressesOf(to) : [to]).map(
      async (address): Promise<[string, boolean]> => [
        `${from} to ${address}`,
        (await probe(places[from], { ...SERVICE, to: address, timeout: 1_000 })) === 'allowed',
      ],
    ),
  );
  return Object.fromEntries(await Promise.all(rows));
}

const everything = async (): Promise<Record<string, boolean>> =>
  Object.fromEntries(Object.keys(await reachable()).map((way) => [way, true]));

/** Who asked for its gateway in vain asks again within a second. */
const isBack = (ways: Record<string, boolean>): Promise<void> =>
  expect.poll(reachable, { timeout: 10_000 }).toEqual(ways);

/** What has an end at web. */
const sealed = (ways: Record<string, boolean>): Record<string, boolean> =>
  Object.fromEntries(
    Object.keys(ways).map((way) => [way, way === 'outside to 198.51.100.30' || way === 'outside to 2001:db8:100::30']),
  );

/** Exit status 0, and what was said. */
async function done(...words: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await routewall.cli(...words);
  expect({ words, exitCode, stderr }).toMatchObject({ words, exitCode: 0 });
  return stdout;
}

const session = (from: Place, to: string): Promise<Flow> => openFlow(from, { ...SERVICE, to, timeout: 3_000 });

it('seals one container both ways, ends its connections, and gives back exactly what there was', async () => {
  expect(await reachable()).toEqual(await everything());
  const ways = await reachable();
  const ends = [
    await session(places.outside, addressesOf(20)[0]),
    await session(places.host, addressesOf(20)[1]),
    await session(places.web, addressesOf(30)[0]),
  ];
  const other = await session(places.outside, addressesOf(30)[0]);
  expect(await done('panic', 'on', '-n', 'web')).toMatch(/^panic: web is sealed since .* by /);
  for (const flow of ends) expect(await flow.beat(300)).not.toBe('alive');
  expect(await other.beat()).toBe('alive');
  expect(await reachable()).toEqual(sealed(ways));

  // Everybody says so.
  const explained = await routewall.cli('explain', '--from', 'host', '--to', 'container:web', 'http');
  expect(explained).toMatchObject({
    exitCode: 1,
    stdout: expect.stringMatching(/^drop[\s\S]*panic of web +sealed since/),
  });
  await routewall.statusTells(/panic: web is sealed since/);
  expect(await done('list')).toMatch(/web +running +web.yaml: sealed by panic/);
  expect(await done('preview')).toContain('panic: web is sealed since');
  expect(await done('map')).toContain('sealed by panic');

  await done('panic', 'off', '-n', 'web');
  await isBack(ways);
  // What was open before is over all the same.
  for (const flow of ends) expect(await flow.beat(300)).not.toBe('alive');
  expect(await done('preview')).toContain('nothing would change');
  const { stdout } = await routewall.bed.host.run('nft', ['list', 'tables']);
  expect(stdout).not.toContain('panic');
});

it('holds through reload, restart, crash, flush, policy changes and restarts of the container', async () => {
  const ways = await reachable();
  await done('panic', 'on', '-n', 'web');
  const { host } = routewall.bed;
  const isSealed = async (after: string): Promise<void> =>
    expect([after, await reachable()]).toEqual([after, sealed(ways)]);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await routewall.daemon.stop(signal);
    await isSealed(`${signal}, no daemon`);
    await routewall.daemon.restart();
    await isSealed(`${signal}, the next daemon`);
  }
  const panic = async (): Promise<string> =>
    (await host.runForResult('nft', ['list', 'table', 'inet', 'routewall_panic'])).stdout;
  for (const attack of [
    'flush ruleset',
    'delete table inet routewall_panic',
    'flush chain inet routewall_panic from',
  ]) {
    await host.runForResult('nft', [attack]);
    await eventually(`put back after ${attack}`, async () => /iifname @sealed drop/.test(await panic()), 10_000);
  }
  await isSealed('what others did to the table');
  await routewall.writePolicy('containers/web.yaml', 'ingress: { default: allow }\n');
  await routewall.enforced('web', { after: routewall.mark() - 1 }).catch(() => undefined);
  await routewall.stop(web);
  await routewall.start(web);
  places = { ...places, web: await web.inside() };
  await listen(places.web, SERVICE);
  await isSealed('a start of the container');
});

it('seals all at once, and what starts then too', async () => {
  const ways = await reachable();
  await done('panic', 'on');
  const late = await routewall.addContainer('late', { policy: OPEN, lines: nic(addressesOf(40)) });
  await routewall.start(late);
  await listen(await late.inside(), SERVICE);
  const none = Object.fromEntries(Object.keys(ways).map((way) => [way, false]));
  expect(await reachable()).toEqual(none);
  const reach = async (): Promise<string> =>
    await probe(places.outside, { ...SERVICE, to: addressesOf(40)[0], timeout: 500 });
  expect(await reach()).not.toBe('allowed');
  const { exitCode, stderr } = await routewall.cli('panic', 'off', '-n', 'web');
  expect((await routewall.cli('panic', 'on', '-n', 'nobody')).exitCode).toBe(2);
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('all containers are sealed') });
  expect(await done('panic', 'off')).toContain('no container is sealed');
  await isBack(ways);
  expect(await reach()).toBe('allowed');
});

it('works without a daemon, and the next one keeps it', async () => {
  const ways = await reachable();
  const state = routewall.env['STATE_DIRECTORY'] ?? '';
  const lastGood = (): Promise<string> => readFile(join(state, 'last-good.nft'), 'utf8').catch(() => '');
  await eventually('the rules are kept for the next boot', async () => (await lastGood()) !== '', 10_000);
  await routewall.daemon.stop('SIGKILL');
  const { exitCode, stdout, stderr } = await routewall.cli('panic', 'on', '-n', 'web');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('no daemon answers') });
  expect(stdout).toContain('web is sealed since');
  expect(await reachable()).toEqual(sealed(ways));
  expect(await lastGood()).toContain('add rule inet routewall_panic from');
  await routewall.daemon.restart();
  expect(await reachable()).toEqual(sealed(ways));
  await routewall.daemon.stop();
  await done('panic', 'off', '-n', 'web');
  await isBack(ways);
  expect(await lastGood()).not.toContain('routewall_panic');
});

it('seals all where it cannot be read who shall be', async () => {
  const ways = await reachable();
  const file = join(routewall.env['STATE_DIRECTORY'] ?? '', 'panic.json');
  for (const text of ['{"all":null', '{"containers":[]}', '', '[]']) {
    await writeFile(file, text);
    await routewall.daemon.restart();
    expect(Object.values(await reachable())).not.toContain(true);
    await routewall.statusTells(/all containers are sealed, since it can/);
  }
  await done('panic', 'off');
  await isBack(ways);
  // What went away was not switched off.
  await done('panic', 'on', '-n', 'web');
  await rm(file);
  await routewall.bed.host.runForResult('nft', ['flush ruleset']);
  await eventually('the file is back', async () => (await readFile(file, 'utf8').catch(() => '')).includes('web'));
  expect(await reachable()).toEqual(sealed(ways));
});
