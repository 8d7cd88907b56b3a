/**
 * The daemon's start and the commands that read everything, on a host with many containers: configurations, policies and
 * veths exist, processes don't. And what a day of starts and stops leaves in the daemon's memory. Needs root.
 * `node scripts/bench.mjs scale [COUNTS] [CHURN CYCLES]`
 */
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { cleanUp } from '../sandbox/clean-up.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { makeOthers, policyOf } from './others.ts';
import { median, report } from './report.ts';

const counts = (process.argv[2] ?? '0,1000,10000').split(',').map(Number);
/** A start each ten seconds for a day. */
const cycles = Number(process.argv[3] ?? 8_640);
const REPEATS = 5;

/** MB. */
async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < REPEATS; round += 1) {
    const begin = performance.now();
    await work();
    times.push(performance.now() - begin);
  }
  return median(times);
}

/** A veth that comes and goes under a name that a configuration has: to the daemon a start and a stop. */
async function churn({ bed: { host } }: Routewall, times: number): Promise<void> {
  for (let cycle = 0; cycle < times; cycle += 1) {
    await host.run('ip', ['link', 'add', 'vchurn', 'up', 'type', 'veth', 'peer', 'name', 'vpeer']);
    await setTimeout(20);
    await host.run('ip', ['link', 'del', 'vchurn']);
    await setTimeout(20);
  }
}

async function measure(count: number): Promise<string[]> {
  const routewall = await startRoutewall({ config: 'uplinks: [eth0]\n' });
  const { daemon, bed, policyFolder } = routewall;
  await daemon.stop();
  await makeOthers(bed, policyFolder, count);
  await routewall.addContainer('probe', {
    lines: nic(['192.0.2.50'], { extra: ['veth.pair = vchurn'] }),
    policy: policyOf(8000),
  });
  const begin = performance.now();
  await daemon.restart();
  const ready = performance.now() - begin;
  const { pid } = daemon.child();
  const commands = [
    ['--help'],
    ['status'],
    ['check'],
    ['explain', '--from', 'container:probe', '--to', '203.0.113.80', 'tcp/443'],
    ['preview'],
  ] as const;
  const times: number[] = [];
  for (const words of commands)
    times.push(
      await timed(async () => {
        const { exitCode, stderr } = await routewall.cli(...words);
        if (exitCode > 1) throw new Error(`${words.join(' ')}: ${stderr}`);
      }),
    );
  const settled = await resident(pid);
  await churn(routewall, count === 0 ? cycles : 0);
  const grown = count === 0 ? `${settled.toFixed(0)} → ${(await resident(pid)).toFixed(0)}` : '';
  await cleanUp();
  return [count.toLocaleString('en'), ready.toFixed(0), ...times.map((time) => time.toFixed(0)), grown];
}

try {
  const rows: string[][] = [];
  for (const count of counts) rows.push(await measure(count));
  await report('scale', {
    title: 'A daemon with many containers',
    about: `Milliseconds: its start, and medians of ${REPEATS} runs of the commands. MB: its resident memory before and after ${cycles} starts and stops.`,
    command: `node scripts/bench.mjs scale ${counts.join(',')} ${cycles}`,
    columns: ['containers', 'start', 'help', 'status', 'check', 'explain', 'preview', 'after churn'],
    rows,
  });
} finally {
  await cleanUp();
}
