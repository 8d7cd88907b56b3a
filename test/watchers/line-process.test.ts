import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { type LineProcess, type LineProcessOptions, lineProcess } from '../../watchers/line-process.ts';
import { quiet } from './event-log.ts';

// On a busy machine the kernel's events may take their time; each wait has its own deadline.
vi.setConfig({ testTimeout: 60_000 });

const FAST = { firstMs: 20, maxMs: 80, healthyMs: 60_000 };
const started: LineProcess[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((child) => child.stop()));
});

function run(script: string, more: Partial<LineProcessOptions> = {}) {
  const pids: number[] = [];
  const lines: string[] = [];
  const failures: { cause: Error; retryInMs: number }[] = [];
  const child = lineProcess({
    command: '/bin/sh',
    args: ['-c', script],
    backoff: FAST,
    onStart: ({ pid }) => pids.push(pid),
    onLine: (line) => lines.push(line),
    onFailure: (failure) => failures.push(failure),
    ...more,
  });
  started.push(child);
  child.start();
  return { child, pids, lines, failures };
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !condition(); await sleep(5)) {
    if (Date.now() > deadline) throw new Error('never happened');
  }
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it('starts a killed child again and reads on', async () => {
  const { pids, lines, failures } = run('echo up; exec sleep 600');
  await until(() => lines.length === 1);
  process.kill(pids[0] ?? 0, 'SIGKILL');
  await until(() => lines.length === 2);
  expect(pids).toHaveLength(2);
  expect(failures.map(({ cause }) => cause.message)).toEqual(['/bin/sh: ended by SIGKILL']);
});

it('waits longer from failure to failure, up to a limit, and says what the child said', async () => {
  const { failures } = run('echo "no luck" >&2; exit 3');
  await until(() => failures.length >= 4);
  expect(failures.slice(0, 4).map(({ retryInMs }) => retryInMs)).toEqual([20, 40, 80, 80]);
  expect(failures[0]?.cause.message).toBe('/bin/sh: ended with exit status 3: no luck');
});

it('starts over with short waits after a child that lived', async () => {
  const { failures } = run('exit 1', { backoff: { firstMs: 20, maxMs: 80, healthyMs: 0 } });
  await until(() => failures.length >= 3);
  expect(new Set(failures.map(({ retryInMs }) => retryInMs))).toEqual(new Set([20]));
});

it('reports a missing program and keeps trying', async () => {
  const { pids, failures } = run('', { command: '/nonexistent/lxc-monitor', args: [] });
  await until(() => failures.length >= 2);
  expect(pids).toEqual([]);
  expect(failures[0]?.cause.message).toBe('/nonexistent/lxc-monitor: could not be started');
  expect(failures[0]?.cause.cause).toMatchObject({ code: 'ENOENT' });
});

it('takes its child along when it stops, and only once', async () => {
  const { child, pids, failures } = run('exec sleep 600');
  await until(() => pids.length === 1);
  await Promise.all([child.stop(), child.stop()]);
  await child.stop();
  expect(isAlive(pids[0] ?? 0)).toBe(false);
  await quiet();
  expect([pids.length, failures.length]).toEqual([1, 0]);
});

it('ends a child that does not listen to SIGTERM', async () => {
  const { child, pids, lines } = run('trap "" TERM; echo up; while :; do sleep 0.05; done');
  await until(() => lines.length === 1);
  await child.stop();
  expect(isAlive(pids[0] ?? 0)).toBe(false);
});

it('can be started again after a stop', async () => {
  const { child, lines } = run('echo up; exec sleep 600');
  await until(() => lines.length === 1);
  await child.stop();
  child.start();
  await until(() => lines.length === 2);
});

it('replaces a child that is declared failed, for the reason given', async () => {
  const { child, pids, lines, failures } = run('echo up; exec sleep 600');
  await until(() => lines.length === 1);
  child.fail(new Error('it lost something'));
  await until(() => lines.length === 2);
  expect(failures.map(({ cause }) => cause.message)).toEqual(['it lost something']);
  expect(isAlive(pids[0] ?? 0)).toBe(false);
});

it('reads a burst whole and in order', async () => {
  const { lines } = run('i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i+1)); done; exec sleep 600');
  await until(() => lines.length >= 1000);
  expect(lines).toEqual(Array.from({ length: 1000 }, (_, at) => String(at)));
});

it('keeps reading while a grandchild holds the pipe of a child that is gone', async () => {
  const { lines, failures } = run('sleep 3 & echo up; exit 0');
  await until(() => failures.length >= 1);
  expect(lines[0]).toBe('up');
});
