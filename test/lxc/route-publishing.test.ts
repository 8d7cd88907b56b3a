/** The documented configurations, with real routers: what runs is announced over BGP, and nothing else. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { runForResult } from '../../sandbox/run.ts';
import { runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

const DOCS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'docs');

afterEach(cleanUp);

/** The next router: takes what it is told into its kernel, so that packets go by it. */
const NEIGHBOUR = `
log stderr all;
router id 192.0.2.2;
protocol device { }
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; }; }
protocol bgp host4 {
  local 192.0.2.2 as 64497; neighbor 192.0.2.1 as 64496; connect delay time 1; connect retry time 1;
  ipv4 { import all; export none; };
}
protocol bgp host6 {
  local 2001:db8:0:1::2 as 64497; neighbor 2001:db8:0:1::1 as 64496; connect delay time 1; connect retry time 1;
  ipv6 { import all; export none; };
}
`;

interface Bird {
  ask(question: string): Promise<string>;
}

async function startBird({ name }: Namespace, config: string): Promise<Bird> {
  const folder = await mkdtemp(join(await makeFolder(), 'bird-'));
  const socket = join(folder, 'ctl');
  startChild('ip', ['netns', 'exec', name, 'bird', '-f', '-c', config, '-s', socket, '-P', join(folder, 'pid')]);
  const ask = async (question: string): Promise<string> =>
    (await runForResult('birdc', ['-s', socket, ...question.split(' ')])).stdout;
  await eventually('bird answers', async () => (await ask('show status')).includes('Daemon is up'));
  return { ask };
}

/** `198.51.100.10/32`, … as the neighbour has learned them, in order. */
async function learned(bird: Bird): Promise<string[]> {
  const prefixes = (await bird.ask('show route')).matchAll(/^([0-9a-f.:]+\/\d+) .*\[host[46] /gm);
  return [...prefixes].map(([, prefix = '']) => prefix).sort();
}

/** How many routes each session has ever told, and how many taken back. */
async function told(bird: Bird): Promise<number[]> {
  const said = `${await bird.ask('show protocols all host4')}\n${await bird.ask('show protocols all host6')}`;
  return [...said.matchAll(/Import (?:updates|withdraws): +(\d+)/g)].map(([, count]) => Number(count));
}

const waitFor = (bird: Bird, prefixes: readonly string[]): Promise<boolean> =>
  // Far less than the time between two of BIRD's scans.
  eventually(`learned: ${prefixes.join()}`, async () => (await learned(bird)).join() === prefixes.join(), 15_000);

const WEB = ['198.51.100.10/32', '198.51.100.64/28', '2001:db8:100::10/128'] as const;

test('BIRD announces a container from its start to its stop, whatever becomes of the daemon', async () => {
  const routewall = await startRoutewall({ host: { routedPrefixes: [] } });
  const { host, outside } = routewall.bed;
  // Not routewall's, though in the prefixes that may be announced.
  await runIp(host, ['route add 198.51.100.200/32 dev eth0 proto static', 'route add 2001:db8:100::c8/128 dev eth0']);
  await startBird(host, join(DOCS, 'bird.conf'));
  const config = join(await makeFolder(), 'neighbour.conf');
  await writeFile(config, NEIGHBOUR);
  const neighbour = await startBird(outside, config);
  await eventually(
    'both sessions are up',
    async () => (await neighbour.ask('show protocols')).match(/Established/g)?.length === 2,
    30_000,
  );
  const web = await routewall.addContainer('web', {
    policy: `routes: 198.51.100.64/28\n${OPEN}`,
    lines: nic(addressesOf(10)),
  });
  const pings = async (address: string): Promise<boolean> =>
    (await outside.runForResult('ping', ['-c', '1', '-W', '1', address])).exitCode === 0;
  expect(await pings('198.51.100.10')).toBe(false);

  await routewall.start(web);
  await waitFor(neighbour, WEB);
  expect(await neighbour.ask('show route all')).toMatch(/BGP\.next_hop: 192\.0\.2\.1\b/);
  for (const address of addressesOf(10)) await eventually(`${address} answers`, () => pings(address));

  const before = await told(neighbour);
  await routewall.daemon.restart();
  await routewall.daemon.restart('SIGKILL');
  const db = await routewall.addContainer('db', { policy: OPEN, lines: nic(addressesOf(11)) });
  await routewall.start(db);
  await waitFor(neighbour, [WEB[0], '198.51.100.11/32', ...WEB.slice(1), '2001:db8:100::11/128']);
  await routewall.stop(db, 'kill');
  await waitFor(neighbour, WEB);
  // The second container's addresses are all that was told since, and taken back.
  expect(await told(neighbour)).toEqual(before.map((count) => count + 1));

  await routewall.stop(web);
  await waitFor(neighbour, []);
  expect(await pings('198.51.100.10')).toBe(false);
});

describe("FRR's configuration", () => {
  test.each([
    { what: 'is right', change: (text: string) => text, exitCode: 0 },
    {
      what: 'would be refused with a mistake',
      change: (text: string) => text.replace('redistribute', 'distribute'),
      exitCode: 2,
    },
  ])('$what', async ({ change, exitCode }) => {
    const file = join(await makeFolder(), 'frr.conf');
    await writeFile(file, change(await readFile(join(DOCS, 'frr.conf'), 'utf8')));
    expect((await runForResult('vtysh', ['-C', '-f', file])).exitCode).toBe(exitCode);
  });
});
