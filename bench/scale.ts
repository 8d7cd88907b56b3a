/**
 * A daemon with 0, 1,000 and 10,000 containers that run (configurations, policies and veths that exist; no processes),
 * started as the package starts it and as Node would by itself: its start, its memory, what it takes while nothing happens
 * (its resyncs included), and the commands that read everything. And what many starts and stops leave in its memory.
 * Needs root. `node scripts/bench.mjs scale [COUNT,COUNT…] [IDLE SECONDS] [CHURN CYCLES]`
 */
import { setTimeout } from 'node:timers/promises';
import type { Child } from '../sandbox/child.ts';
import { cleanUp } from '../sandbox/clean-up.ts';
import { startBus } from '../test/dbus/system-bus.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { packagedFlags, runDirectory } from './as-packaged.ts';
import { loadOf, memoryOf } from './idling.ts';
import { makeOthers, policyOf } from './others.ts';
import { median, report, spread } from './report.ts';

const counts = (process.argv[2] ?? '0,1000,10000').split(',').map(Number);
const seconds = Number(process.argv[3] ?? 600);
/** Each waits for the one before, so that ten thousand would take most of the whole run. */
const cycles = Number(process.argv[4] ?? 1_000);
/** How often the memory is looked at, before the first and behind the last among them. */
const LOOKS = 5;
const REPEATS = 3;
/** What the start left behind is given back by then. */
const SETTLE_MS = 15_000;

const COMMANDS: readonly (readonly string[])[] = [
  ['--help'],
  ['status'],
  ['check'],
  ['explain', '--from', 'container:probe', '--to', '203.0.113.80', 'tcp/443'],
  ['preview'],
];

async function timed(work: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let round = 0; round < REPEATS; round += 1) {
    const begin = performance.now();
    await work();
    times.push(performance.now() - begin);
  }
  return `${median(times).toFixed(0)} ${spread(times)}`;
}

async function start(routewall: Routewall, flags: readonly string[]): Promise<[Child, number]> {
  const [node, ...words] = routewall.command(['daemon']);
  const begin = performance.now();
  const daemon = routewall.bed.host.spawn(node, [...flags, ...words], { env: routewall.env });
  await daemon.waitForLine(/ ready: /, { timeout: 240_000 });
  return [daemon, performance.now() - begin];
}

/** @returns the daemon, and what it took until nothing happens any more. */
async function settled(routewall: Routewall, flags: readonly string[]): Promise<[Child, string[]]> {
  const [daemon, ready] = await start(routewall, flags);
  await setTimeout(Math.min(SETTLE_MS, seconds * 1000));
  const { resident, peak } = await memoryOf(daemon.pid);
  return [daemon, [ready, resident, peak].map((value) => value.toFixed(0))];
}

/**
 * A veth that comes and goes under a name that a configuration has: to the daemon a start and a stop. Each waits for its
 * word; a veth that is gone before anybody looked is no start at all.
 */
async function churn(routewall: Routewall): Promise<string[]> {
  const [daemon] = await start(routewall, await packagedFlags());
  const ip = routewall.bed.host.spawn('ip', ['-force', '-batch', '-']);
  const step = async (line: string, told: RegExp): Promise<void> => {
    const after = daemon.lines.length;
    ip.write(`${line}\n`);
    await daemon.waitForLine(told, { after, timeout: 30_000 });
  };
  const resident: number[] = [];
  const look = async (): Promise<unknown> => resident.push((await memoryOf(daemon.pid)).resident);
  const between = Math.ceil(cycles / (LOOKS - 1));
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    if (cycle % between === 0) await look();
    await step('link add vchurn up type veth peer name vpeer', / probe \S+ via .*: enforced in /);
    await step('link del vchurn', / probe \S+ via .*: removed in /);
  }
  await look();
  return resident.map((value) => value.toFixed(0));
}

async function prepare(count: number): Promise<Routewall> {
  const { env } = await startBus();
  const routewall = await startRoutewall({ config: 'uplinks: [eth0]\n', env: { ...env, ...(await runDirectory()) } });
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, count);
  await routewall.addContainer('probe', {
    lines: nic(['192.0.2.50'], { extra: ['veth.pair = vchurn'] }),
    policy: policyOf(8000),
  });
  return routewall;
}

async function timeCommands(cli: Routewall['cli']): Promise<string[]> {
  const times: string[] = [];
  for (const words of COMMANDS)
    times.push(
      await timed(async () => {
        const { exitCode, stderr } = await cli(...words);
        if (exitCode > 1) throw new Error(`${words.join(' ')}: ${stderr}`);
      }),
    );
  return times;
}

const idling: string[][] = [];
const commands: string[][] = [];
/** One for each size, which all do nothing at the same time. */
const idlers: { readonly daemon: Child; readonly row: string[] }[] = [];

async function measure(count: number): Promise<void> {
  const routewall = await prepare(count);
  const size = count.toLocaleString('en');
  const [plain, byItself] = await settled(routewall, []);
  await plain.stop();
  const [daemon, asPackaged] = await settled(routewall, await packagedFlags());
  const row = [size, 'as packaged', ...asPackaged];
  idlers.push({ daemon, row });
  idling.push(row, [size, 'by itself', ...byItself]);
  commands.push([size, 'by the daemon', ...(await timeCommands(routewall.cli))]);
  commands.push([size, 'by themselves', ...(await timeCommands(routewall.cliAlone))]);
}

async function idle(): Promise<void> {
  await Promise.all(
    idlers.map(async ({ daemon, row }) => {
      const { alone, all } = await loadOf(daemon.pid, seconds);
      row.push(...[alone, all].map((value) => `${value.toFixed(2)} %`));
    }),
  );
}

const command = `node scripts/bench.mjs scale ${counts.join(',')} ${seconds} ${cycles}`;

async function tell(): Promise<void> {
  await report('scale', {
    title: 'The commands, by number of containers',
    about: `Milliseconds, beside a daemon that serves the same files, which they ask by a bus or can't reach: medians of ${REPEATS} runs and their spread.`,
    command,
    columns: ['containers', 'answered', 'help', 'status', 'check', 'explain', 'preview'],
    rows: commands,
  });
  await report('scale-idling', {
    title: 'The daemon, by number of containers',
    about: `Milliseconds until it is ready; resident memory in MB after the start, and its peak; processor time over ${seconds} s in which nothing happened but its own resync each 60 s, of the daemon and with its children, all sizes at the same time.`,
    command,
    columns: ['containers', 'node', 'ready, ms', 'RSS', 'peak', 'daemon', 'with children'],
    rows: idling,
  });
}

try {
  const resident = await churn(await prepare(0));
  await report('scale-churn', {
    title: 'Many starts and stops',
    about: `Resident memory in MB during ${cycles.toLocaleString('en')} starts and stops, in a row.`,
    command,
    columns: resident.map(
      (_, index) => `after ${Math.min(index * Math.ceil(cycles / (LOOKS - 1)), cycles).toLocaleString('en')}`,
    ),
    rows: [resident],
  });
  await cleanUp();
  // The most last: taking away thousands of veths keeps the kernel from making others for half a minute.
  for (const count of counts) {
    await measure(count);
    await tell();
  }
  await idle();
  await tell();
} finally {
  await cleanUp();
}
