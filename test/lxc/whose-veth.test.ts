/** Whose a host-side veth is, where its name doesn't tell: renamed, shared, without a configuration, or no veth at all. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [OWN, OTHER] = [addressesOf(10), addressesOf(20)];
const UDP = { protocol: 'udp', port: 9 } as const;
const SHUT = 'egress: { default: drop }\n';
/** None that the guard's patterns know. */
const NAMED = ['veth.pair = web0'];

interface Running {
  readonly rw: Routewall;
  readonly web: Container;
  readonly inside: Place;
}

async function start(extra: readonly string[] = [], policy = SHUT): Promise<Running> {
  const rw = await startRoutewall({ config: 'uplinks: [eth0]\n' });
  const web = await rw.addContainer('web', { lines: nic(OWN, { extra }), policy });
  await rw.start(web);
  for (const place of [rw.bed.host, rw.bed.outside]) await listen(place, UDP);
  return { rw, web, inside: await web.inside() };
}

/** What the container reaches from each of these addresses, of the host and of the outside. */
async function reached(inside: Place, sources: readonly string[] = [OWN[0]]): Promise<string[]> {
  const ways = sources.flatMap((source) => ['192.0.2.1', '203.0.113.80'].map((to) => ({ source, to })));
  const found = ways.map(async (way) =>
    (await probe(inside, { ...UDP, ...way, timeout: 1_000 })) === 'dropped' ? [] : [`${way.source} > ${way.to}`],
  );
  return (await Promise.all(found)).flat();
}

test.each(['removed', 'broken'])(
  'nobody knows whose it is: the configuration is %s when a daemon begins',
  async (how) => {
    const { rw, web, inside } = await start(NAMED, OPEN);
    expect(await reached(inside)).toHaveLength(2);
    const text = await readFile(web.configFile, 'utf8');
    if (how === 'removed') await rm(web.configFile);
    else await writeFile(web.configFile, `${text.replace('web0', 'web1')}lxc.foo = bar\n`);
    try {
      await rw.daemon.restart('SIGKILL');
      // Without a route no answer comes: what arrives is counted.
      const arrived = async () => [...(await receipts(rw.bed.host)), ...(await receipts(rw.bed.outside))].length;
      const before = await arrived();
      // Also once everything has been compared.
      for (let round = 0; round < 2; round += 1) {
        expect(await reached(inside)).toEqual([]);
        expect(await arrived()).toBe(before);
        rw.daemon.child().signal('SIGHUP');
        await sleep(1_500);
      }
    } finally {
      await writeFile(web.configFile, text);
    }
    await eventually('it has its rules again', async () => (await reached(inside)).length === 2);
  },
);

test('a copy that has never run has the name too, and an open policy', async () => {
  const { rw, inside } = await start(NAMED);
  // By its name it comes first.
  await rw.addContainer('acopy', { lines: nic(OTHER, { extra: NAMED }), policy: OPEN });
  await inside.run('ip', ['address', 'add', OTHER[0], 'dev', 'eth0']);
  await sleep(1_000);
  for (const isNew of [false, true]) {
    if (isNew) await rw.daemon.restart('SIGKILL');
    expect(await reached(inside, [OWN[0], OTHER[0]]), String(isNew)).toEqual([]);
  }
  await rw.writePolicy('containers/web.yaml', OPEN);
  await eventually('it has its own', async () => (await reached(inside)).length === 2);
  expect(await reached(inside, [OTHER[0]])).toEqual([]);
});

/** Each is in the network namespace of `web` with an open policy, and by its name it comes first. */
test.each([
  ['its configuration says so', ['lxc.namespace.share.net = web'], [], []],
  ['its configuration says so, and has the name too', ['lxc.namespace.share.net = web'], [], NAMED],
  ['an option of lxc-start does', [], ['--share-net=web'], []],
])('another is in its network namespace: %s', async (_, lines, options, names) => {
  const { rw, inside } = await start(names);
  await rw.addContainer('acopy', { lines: [...nic(OTHER, { extra: names }), ...lines], policy: OPEN });
  await rw.bed.host.run('lxc-start', ['-P', rw.bed.lxcPath, '-n', 'acopy', ...options]);
  await inside.run('ip', ['address', 'add', OTHER[0], 'dev', 'eth0']);
  for (const isNew of [false, true]) {
    if (isNew) await rw.daemon.restart('SIGKILL');
    expect(await reached(inside, [OWN[0], OTHER[0]]), String(isNew)).toEqual([]);
  }
  await rw.writePolicy('containers/web.yaml', OPEN);
  await eventually('it has its own', async () => (await reached(inside)).length === 2);
  expect(await reached(inside, [OTHER[0]])).toEqual([]);
});

test('another got it while the daemon was stopped', async () => {
  const { rw, web } = await start(NAMED, OPEN);
  const next = await rw.addContainer('next', { lines: nic(OTHER, { extra: NAMED }), policy: SHUT });
  await sleep(1_000);
  const { pid } = rw.daemon.child();
  process.kill(pid, 'SIGSTOP');
  try {
    await web.stop('kill');
    await next.start();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const inside = await next.inside();
  await inside.run('ip', ['address', 'add', OWN[0], 'dev', 'eth0']);
  await eventually('it has none of the other', async () => (await reached(inside, [OWN[0], OTHER[0]])).length === 0);
  await rw.writePolicy('containers/next.yaml', OPEN);
  await eventually('it has its own', async () => (await reached(inside, [OTHER[0]])).length === 2);
});

test('the host renames it', async () => {
  const { rw, web, inside } = await start([], SHUT);
  const veth = await web.hostVeth();
  await runIp(rw.bed.host, [`link set ${veth} down`, `link set ${veth} name foo0`, 'link set foo0 up']);
  await eventually('it is known by its new name', async () => (await rw.cli('status')).stdout.includes(' via foo0'));
  expect(await reached(inside)).toEqual([]);
  await rw.writePolicy('containers/web.yaml', OPEN);
  await eventually('it has its rules', async () => (await reached(inside)).length === 2);
});

test.each(['eth0', 'lo', 'br7', 'way6'])('who never ran asks for %s', async (name) => {
  const { rw } = await start();
  const { host, outside } = rw.bed;
  await runIp(host, [
    ...['link add br7 up type bridge', 'address add 203.0.113.129/28 dev br7'],
    ...['link add way6 up type veth peer name way7', 'link set way6 up', 'link set way7 up'],
    'route add ::/0 dev way6 metric 4096',
  ]);
  const answers = async (): Promise<boolean> => (await probe(outside, { ...UDP, to: '192.0.2.1' })) === 'allowed';
  expect(await answers()).toBe(true);
  const mark = rw.mark();
  await rw.addContainer('bad', { lines: nic(OTHER, { extra: [`veth.pair = ${name}`] }), policy: OPEN });
  await rw.daemon
    .child()
    .waitForLine(new RegExp(`veth\\.pair ${name} is an interface of this host's own`), { after: mark });
  await sleep(500);
  expect(await answers()).toBe(true);
  expect((await rw.cli('preview')).stdout).toMatch(/^nothing would change/);
  const { stdout, stderr } = await rw.cliAlone('check');
  expect(`${stdout}${stderr}`).toContain(`veth.pair ${name} is an interface of this host's own`);
  await host.run('nft', ['list', 'table', 'inet', 'routewall']).then(({ stdout }) => {
    expect(stdout).not.toContain(`"${name}" : goto`);
  });
});
