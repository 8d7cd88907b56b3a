/**
 * How long what others take away stays away: a `nft flush ruleset` by hand under a forbidden flood (what came out, by the
 * capture's clock), and a route, a gateway address and a neighbour proxy of a running container. With 0 and 1,000 other
 * containers. Where nft and the kernel let tables be owned, the flush finds nothing to take. Prints a table; needs root.
 * `node scripts/bench.mjs heal-time [OTHERS,OTHERS…] [ROUNDS]`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp } from '../sandbox/clean-up.ts';
import { eventually } from '../sandbox/eventually.ts';
import { startFlood } from '../test/lxc/forbidden-flood.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { makeOthers } from './others.ts';
import { median, quantile, report } from './report.ts';

const counts = (process.argv[2] ?? '0,1000').split(',').map(Number);
const rounds = Number(process.argv[3] ?? 20);
const POLICY = 'egress: { rules: [{ allow: tcp/80, to: any }] }\n';
const FORBIDDEN = 9999;
/** Longer than anything here takes to heal, so that rounds don't meet. */
const PAUSE_MS = 1_500;

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** Milliseconds of the day: `12:34:56.789012 IP …`. */
function clockOf(line: string): number {
  const [, hours, minutes, seconds] = /^(\d+):(\d+):([\d.]+) /.exec(line) ?? [];
  return (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
}

/** From the first packet that came out to the last one. */
async function measureFlushes({ bed }: Routewall, inside: Parameters<typeof startFlood>[0]): Promise<Row[]> {
  const exit = { place: bed.host, device: 'eth0' };
  const flood = await startFlood(inside, { to: ['203.0.113.80', '2001:db8:ffff::80'], port: FORBIDDEN, exit });
  const [spans, packets]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const before = flood.leaked().length;
    await bed.host.run('nft', ['flush', 'ruleset']);
    await sleep(PAUSE_MS);
    const times = flood.leaked().slice(before).map(clockOf);
    packets.push(times.length);
    spans.push(times.length === 0 ? 0 : Math.max(...times) - Math.min(...times));
  }
  await flood.stop();
  return [
    { what: 'nft flush ruleset: forbidden packets came out for', unit: 'ms', values: spans },
    { what: 'nft flush ruleset: forbidden packets', unit: 'of 4 in 1 ms', values: packets },
  ];
}

interface Loss {
  readonly what: string;
  /** What `ip` is told to take it away, and to show it. */
  readonly remove: string;
  readonly show: string;
  readonly pattern: RegExp;
}

const LOSSES: readonly Loss[] = [
  {
    what: 'a route',
    remove: 'route del 198.51.100.50 dev vbench',
    show: 'route show proto 119',
    pattern: /^198\.51\.100\.50 /m,
  },
  {
    what: "a gateway's address",
    remove: 'address del 169.254.0.1/32 dev vbench',
    show: 'address show dev vbench',
    pattern: /169\.254\.0\.1/,
  },
  {
    what: 'a neighbour proxy',
    remove: 'neigh del proxy 192.0.2.50 dev eth0',
    show: 'neigh show proxy',
    pattern: /^192\.0\.2\.50 /m,
  },
];

/** From the end of the command that takes it away until it is shown again. */
async function measureLoss({ bed: { host } }: Routewall, { what, remove, show, pattern }: Loss): Promise<Row> {
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await host.run('ip', remove.split(' '));
    const begin = performance.now();
    await eventually(`${what} is back`, async () => pattern.test((await host.run('ip', show.split(' '))).stdout));
    values.push(performance.now() - begin);
    // Not in step with whatever looks now and then.
    await sleep(300 + Math.random() * 700);
  }
  return { what, unit: 'ms', values };
}

async function measure(others: number): Promise<string[][]> {
  const routewall = await startRoutewall({ config: 'uplinks: [eth0]\n', ...(await asPackaged()) });
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, others);
  const lines = nic(['192.0.2.50', '2001:db8:0:1::50', '198.51.100.50'], { extra: ['veth.pair = vbench'] });
  const container = await routewall.addContainer('bench', { lines, policy: POLICY });
  await routewall.daemon.restart();
  await routewall.start(container);
  const rows = await measureFlushes(routewall, await container.inside());
  for (const loss of LOSSES) rows.push(await measureLoss(routewall, loss));
  await cleanUp();
  return rows.map(({ what, unit, values }) => [
    ...[what, unit, String(others)],
    ...[median(values), quantile(values, 0.9), quantile(values, 1)].map((value) => value.toFixed(1)),
  ]);
}

try {
  const rows: string[][] = [];
  for (const count of counts) rows.push(...(await measure(count)));
  await report('heal-time', {
    title: 'What others take away, until it is back',
    about: `Over ${rounds} rounds each.`,
    command: `node scripts/bench.mjs heal-time ${counts.join(',')} ${rounds}`,
    columns: ['what', 'unit', 'other containers', 'median', 'p90', 'max'],
    rows,
  });
} finally {
  await cleanUp();
}
