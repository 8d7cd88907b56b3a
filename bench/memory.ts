/**
 * What the daemon takes when nothing happens: memory and processor time with 0, 1,000 and 10,000 containers that run
 * (configurations, policies and veths that exist; no processes), started as the package starts it and as Node would by
 * itself. Prints a table; needs root. `node scripts/bench.mjs memory [COUNT,COUNT…] [SECONDS]`
 */
import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp } from '../sandbox/clean-up.ts';
import { type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { makeOthers } from './others.ts';
import { report } from './report.ts';

const counts = (process.argv[2] ?? '0,1000,10000').split(',').map(Number);
const seconds = Number(process.argv[3] ?? 20);
/** What the start left behind is given back by then. */
const SETTLE_MS = 15_000;
const TICKS = 100;

/** Of the package's launcher, which stands for what the service runs with. */
async function packagedFlags(): Promise<string[]> {
  const launcher = await readFile(resolve('packaging/root/usr/sbin/routewall'), 'utf8');
  return [...launcher.matchAll(/--[a-z-]*(?:size|space)[a-z-]*(?:=\d+)?/g)].map(([flag]) => flag);
}

const megabytes = (text: string, key: string): string =>
  (Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024).toFixed(0);

/** It and its children. */
async function processesOf(pid: number): Promise<number[]> {
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const parents = await Promise.all(
    all.map(async (each) => [Number(each), await parentOf(each)] as const).map((each) => each.catch(() => [0, 0])),
  );
  return [pid, ...parents.flatMap(([child = 0, parent]) => (parent === pid ? [child] : []))];
}

const statOf = async (pid: number | string): Promise<string[]> =>
  (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
const parentOf = async (pid: string): Promise<number> => Number((await statOf(pid))[1]);

/** User and system time so far, children that ended included; in seconds. */
async function timeOf(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => statOf(pid).catch(() => [])));
  return stats.flatMap((stat) => stat.slice(11, 15).map(Number)).reduce((sum, ticks) => sum + ticks, 0) / TICKS;
}

async function measure(routewall: Routewall, count: number, flags: readonly string[]): Promise<string[]> {
  const [node, ...words] = routewall.command(['daemon']);
  const env = { ...routewall.env, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' };
  const child = routewall.bed.host.spawn(node, [...flags, ...words], { env });
  const begin = performance.now();
  await child.waitForLine(/ ready: /, { timeout: 120_000 });
  const ready = performance.now() - begin;
  await sleep(SETTLE_MS);
  const pids = await processesOf(child.pid);
  const before = [await timeOf([child.pid]), await timeOf(pids)] as const;
  await sleep(seconds * 1000);
  const used = [await timeOf([child.pid]), await timeOf(pids)].map((time, index) => time - (before[index] ?? 0));
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  await child.stop();
  return [
    flags.length > 0 ? 'as packaged' : 'by itself',
    ...[count, ready.toFixed(0), megabytes(status, 'VmRSS'), megabytes(status, 'VmHWM')].map(String),
    ...used.map((time) => `${((100 * time) / seconds).toFixed(2)} %`),
  ];
}

try {
  const rows: string[][] = [];
  for (const count of counts) {
    // No resync falls into the time that is measured.
    const routewall = await startRoutewall({ config: 'uplinks: [eth0]\nresync: 3600\n' });
    await routewall.daemon.stop();
    await makeOthers(routewall.bed, routewall.policyFolder, count);
    for (const flags of [await packagedFlags(), []]) rows.push(await measure(routewall, count, flags));
    await cleanUp();
  }
  await report('memory', {
    title: 'What the daemon takes while nothing happens',
    about: `Resident memory in MB (RSS, and its peak at the start); processor time over ${seconds} s, of the daemon and with its children.`,
    command: 'node scripts/bench.mjs memory',
    columns: ['node', 'containers', 'ready, ms', 'RSS', 'peak', 'daemon', 'with children'],
    rows,
  });
} finally {
  await cleanUp();
}
