/** What a process and its children take: memory, and processor time over a while. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS = 100;

/** Megabytes, now and at the most so far. */
export async function memoryOf(pid: number): Promise<{ readonly resident: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

/** Percent of one processor over that many seconds: the process alone, and with its children. */
export async function loadOf(pid: number, seconds: number): Promise<{ readonly alone: number; readonly all: number }> {
  const pids = await processesOf(pid);
  const times = async (): Promise<[number, number]> => [await timeOf([pid]), await timeOf(pids)];
  const before = await times();
  await sleep(seconds * 1000);
  const after = await times();
  const percent = (index: 0 | 1): number => (100 * (after[index] - before[index])) / seconds;
  return { alone: percent(0), all: percent(1) };
}

/** Until the process and its children have done nothing worth a name for three seconds. @throws Error where that never comes */
export async function untilIdle(pid: number): Promise<void> {
  for (let tries = 0, quiet = 0; quiet < 3; tries += 1) {
    if (tries > 180) throw new Error(`process ${pid} always has something to do`);
    const { all } = await loadOf(pid, 1);
    quiet = all < 3 ? quiet + 1 : 0;
  }
}

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
export async function timeOf(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => statOf(pid).catch(() => [])));
  return stats.flatMap((stat) => stat.slice(11, 15).map(Number)).reduce((sum, ticks) => sum + ticks, 0) / TICKS;
}
