/**
 * From an event to rules in force: real containers, the real daemon, and 0, 1,000 and 10,000 others that run beside
 * them (configurations, policies and veths that exist; no processes). Beside it, in the same run, what nft and ip take by
 * fork for the same change, and a hook that runs one `ip` for each thing, as lxc-routednet does. Prints a table; needs root.
 * `node scripts/bench.mjs event-time [OTHERS,OTHERS…] [ROUNDS]`
 */
import { cleanUp } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { createNamespace, type Namespace } from '../sandbox/namespace.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { makeOthers, policyOf } from './others.ts';
import { quantile, report } from './report.ts';

const counts = (process.argv[2] ?? '0,1000,10000').split(',').map(Number);
const rounds = Number(process.argv[3] ?? 30);
interface Times {
  /** From lxc-monitor's line that the container starts, and that it runs. */
  readonly starting: number[];
  readonly running: number[];
  /** From the begin of lxc-start. */
  readonly lxcStart: number[];
  /** As the daemon's log has it: the pass alone. */
  readonly pass: number[];
  readonly forks: number[];
  readonly shellHook: number[];
}

/** When each of lxc-monitor's lines came. */
function followMonitor({ bed }: Routewall): (name: string, state: string, after: number) => number {
  const seen: { readonly line: string; readonly at: number }[] = [];
  bed.host.spawn('stdbuf', ['-oL', 'lxc-monitor', '-P', bed.lxcPath, '-n', 'c[0-9]'], {
    onLine: (line) => seen.push({ line, at: performance.now() }),
  });
  return (name, state, after) =>
    seen.find(({ line, at }) => at >= after && line === `'${name}' changed state to [${state}]`)?.at ?? Number.NaN;
}

async function timeStart(
  routewall: Routewall,
  container: Container,
  at: ReturnType<typeof followMonitor>,
  into: Times,
) {
  const { host } = routewall.bed;
  const { daemon } = routewall;
  const mark = routewall.mark();
  const begin = performance.now();
  const started = host.run('lxc-start', ['-P', container.lxcPath, '-n', container.name, '-d']);
  const line = await daemon.child().waitForLine(new RegExp(` ${container.name} \\S+ via .*: enforced in `), {
    after: mark,
    timeout: 60_000,
  });
  const end = performance.now();
  await started;
  into.lxcStart.push(end - begin);
  into.pass.push(Number(/enforced in ([\d.]+) ms/.exec(line)?.[1]));
  into.starting.push(end - at(container.name, 'STARTING', begin));
  into.running.push(end - at(container.name, 'RUNNING', begin));
  await host.run('lxc-stop', ['-P', container.lxcPath, '-n', container.name, '-k']);
  await daemon
    .child()
    .waitForLine(new RegExp(` ${container.name} \\S+ via .*: removed in `), { after: mark, timeout: 60_000 });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** A namespace with the same ruleset, which no daemon looks at, and a veth to route to. */
async function makeTwin({ bed: { host } }: Routewall): Promise<Namespace> {
  const twin = await createNamespace('twin');
  const tables = await Promise.all(
    ['inet', 'arp'].map((family) => host.run('nft', ['-s', 'list', 'table', family, 'routewall'])),
  );
  await twin.run('nft', ['-f', '-'], { input: tables.map(({ stdout }) => stdout).join('\n'), timeout: 120_000 });
  for (const words of [
    'link add vbench up type veth peer name vpeer',
    'link set vpeer up',
    'link add eth0 up type veth',
  ])
    await twin.run('ip', words.split(' '));
  return twin;
}

const CHANGE = [
  'veths { "vbench" }',
  'owned4 { "vbench" . 198.51.100.99 }',
  'owned6 { "vbench" . 2001:db8:9::99 }',
  'held4 { 198.51.100.99 }',
  'held6 { 2001:db8:9::99 }',
];
const LINES = [
  ['address', '169.254.0.1/32 dev vbench'],
  ['route', '198.51.100.99 dev vbench metric 9'],
  ['route', '2001:db8:9::99 dev vbench metric 9'],
  ['neigh', 'proxy 198.51.100.99 dev eth0'],
  ['neigh', 'proxy 2001:db8:9::99 dev eth0'],
] as const;

/** The same change by fork: elements, then routes, gateway and proxies, and all of it away again. */
async function timeForks(twin: Namespace, into: Times): Promise<void> {
  const elements = (verb: string): string => CHANGE.map((text) => `${verb} element inet routewall ${text}`).join('\n');
  const lines = (verb: string): string[] => LINES.map(([object, words]) => `${object} ${verb} ${words}`);
  const remove = async (): Promise<void> => {
    await twin.run('ip', ['-batch', '-'], { input: `${lines('del').reverse().join('\n')}\n` });
    await twin.run('nft', ['-f', '-'], { input: elements('delete') });
  };
  const nft = () => twin.run('nft', ['-f', '-'], { input: elements('add') });
  into.forks.push(
    await timed(async () => {
      await nft();
      await twin.run('ip', ['-batch', '-'], { input: `${lines('add').join('\n')}\n` });
    }),
  );
  await remove();
  into.shellHook.push(
    await timed(() =>
      twin.run('sh', [
        '-c',
        lines('add')
          .map((line) => `ip ${line}`)
          .join('\n'),
      ]),
    ),
  );
  await nft();
  await remove();
}

async function measure(others: number): Promise<string[][]> {
  const routewall = await startRoutewall({
    config: 'uplinks: [eth0]\n',
  });
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, others);
  const containers: Container[] = [];
  for (const index of [0, 1, 2]) {
    const lines = nic([`192.0.2.${50 + index}`, `2001:db8:0:1::${50 + index}`]);
    containers.push(await routewall.addContainer(`c${index}`, { lines, policy: policyOf(8000 + index) }));
  }
  const boot = await timed(() => routewall.daemon.restart());
  const at = followMonitor(routewall);
  const twin = await makeTwin(routewall);
  const times: Times = { starting: [], running: [], lxcStart: [], pass: [], forks: [], shellHook: [] };
  for (let round = 0; round < rounds; round += 1) {
    const container = containers[round % containers.length];
    if (container !== undefined) await timeStart(routewall, container, at, times);
    await timeForks(twin, times);
  }
  const { stdout } = await routewall.bed.host.run('ps', ['-o', 'rss=', '-p', `${routewall.daemon.child().pid}`]);
  await cleanUp();
  const row = (what: string, values: readonly number[]): string[] => [
    others.toLocaleString('en'),
    what,
    ...[0.5, 0.9, 0.99].map((share) => quantile(values, share).toFixed(1)),
  ];
  console.log(
    `${others} others: daemon ready after ${boot.toFixed(0)} ms, ${(Number(stdout) / 1024).toFixed(0)} MB resident`,
  );
  return [
    row('lxc-start to enforced', times.lxcStart),
    row('STARTING to enforced', times.starting),
    row('RUNNING to enforced', times.running),
    row('the pass', times.pass),
    row('nft -f and ip -batch alone', times.forks),
    row('shell hook: one ip each', times.shellHook),
  ];
}

try {
  const rows: string[][] = [];
  for (const count of counts) rows.push(...(await measure(count)));
  await report('event-time', {
    title: 'From an event to rules in force',
    about: `Milliseconds over ${rounds} starts of real containers beside others that run.`,
    command: `node scripts/bench.mjs event-time ${counts.join(',')} ${rounds}`,
    columns: ['others', 'what', 'median', 'p90', 'p99'],
    rows,
    curves: [
      {
        name: 'event-time',
        title: 'A start among others, median',
        x: 'other containers',
        y: 'milliseconds',
        lines: [...new Set(rows.map(([, what = '']) => what))].map((what) => ({
          label: what,
          points: rows
            .filter((row) => row[1] === what)
            .map(([others = '', , value]) => [Number(others.replaceAll(',', '')), Number(value)] as const),
        })),
      },
    ],
  });
} finally {
  await cleanUp();
}
