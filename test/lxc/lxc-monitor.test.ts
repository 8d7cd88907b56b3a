/** The real lxc-monitor and real containers, in a network namespace and below LXC paths of the test's own. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Watcher } from '../../watchers/events.ts';
import { watchLxcMonitor } from '../../watchers/lxc-monitor.ts';
import { type ContainerId, parseRunningContainers, readRunningContainers } from '../../watchers/running-containers.ts';
import { type EventLog, logEvents } from '../watchers/event-log.ts';

const ns = `rw-lxcmon-${process.pid}`;
const INIT = `#!/bin/sh
trap 'exit 0' PWR TERM
while :; do /bin/busybox sleep 3600 & wait $!; done
`;
let base: string;
let log: EventLog;
let watcher: Watcher | undefined;
let started: ContainerId[];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'rwmon-'));
  log = logEvents();
  started = [];
  await execa('ip', ['netns', 'add', ns]);
});
afterEach(async () => {
  await watcher?.stop();
  watcher = undefined;
  for (const { lxcPath, name } of started) await lxc('lxc-stop', lxcPath, name, '-k').catch(() => undefined);
  for (const lxcPath of new Set(started.map((one) => one.lxcPath)))
    await lxc('lxc-monitor', lxcPath, '.*', '-Q').catch(() => undefined);
  await execa('ip', ['netns', 'del', ns]);
  rmSync(base, { recursive: true });
});

const inNs = (...command: string[]) => execa('nsenter', [`--net=/run/netns/${ns}`, ...command], { stdin: 'ignore' });
const lxc = (tool: string, lxcPath: string, name: string, ...more: string[]) =>
  inNs(tool, '-P', lxcPath, '-n', name, ...more);

function wrapper(): string {
  const path = join(base, 'lxc-monitor');
  writeFileSync(path, `#!/bin/sh\nexec nsenter --net=/run/netns/${ns} lxc-monitor "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

function makeContainer(lxcPath: string, name: string, config = ''): ContainerId {
  const rootfs = join(lxcPath, name, 'rootfs');
  for (const folder of ['bin', 'sbin', 'proc', 'sys', 'dev']) mkdirSync(join(rootfs, folder), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin', 'busybox'));
  symlinkSync('busybox', join(rootfs, 'bin', 'sh'));
  writeFileSync(join(rootfs, 'sbin', 'init'), INIT, { mode: 0o755 });
  const lines = [
    'lxc.uts.name = c',
    `lxc.rootfs.path = dir:${rootfs}`,
    'lxc.net.0.type = empty',
    'lxc.apparmor.profile = unconfined',
  ];
  writeFileSync(join(lxcPath, name, 'config'), `${lines.join('\n')}\n${config}`);
  const container = { lxcPath, name };
  started.push(container);
  return container;
}

const statesOf = ({ lxcPath, name }: ContainerId) =>
  log.all('containerStateChanged').flatMap((e) => (e.lxcPath === lxcPath && e.name === name ? e.state : []));
const synced = () => log.all('synced').length;

async function watch(...lxcPaths: string[]): Promise<void> {
  for (const lxcPath of lxcPaths) mkdirSync(lxcPath, { recursive: true });
  watcher = watchLxcMonitor(log.bus, { lxcPaths, command: wrapper() });
  await watcher.start();
  await log.until('synced', () => synced() === 1);
}

/** Processes whose command line holds the LXC path. */
async function processes(word: string, lxcPath: string): Promise<number[]> {
  const { stdout } = await execa('pgrep', ['-f', `${word}.* ${lxcPath}( |$)`], { reject: false });
  return stdout.split('\n').filter(Boolean).map(Number);
}

it('tells of a start right after synced, and of the stop, each state once', async () => {
  await watch(join(base, 'a'));
  const web = makeContainer(join(base, 'a'), 'web');
  await lxc('lxc-start', web.lxcPath, web.name);
  await log.until('running', () => statesOf(web).includes('RUNNING'));
  await lxc('lxc-stop', web.lxcPath, web.name, '-k');
  await log.until('stopped', () => statesOf(web).includes('STOPPED'));
  expect(statesOf(web)).toEqual(['STARTING', 'RUNNING', 'EXITED', 'STOPPING', 'STOPPED']);
});

it('tells of a start that fails', async () => {
  await watch(join(base, 'a'));
  const broken = makeContainer(join(base, 'a'), 'broken', 'lxc.hook.pre-start = /bin/false\n');
  await lxc('lxc-start', broken.lxcPath, broken.name).catch(() => undefined);
  await log.until('stopped', () => statesOf(broken).includes('STOPPED'));
  expect(statesOf(broken)).toEqual(['STARTING', 'ABORTING', 'STOPPING', 'STOPPED']);
});

it('keeps several LXC paths apart, and odd names whole', async () => {
  await watch(join(base, 'a'), join(base, 'b'));
  const one = makeContainer(join(base, 'a'), 'web');
  const two = makeContainer(join(base, 'b'), "w [e]'b");
  for (const { lxcPath, name } of [one, two]) await lxc('lxc-start', lxcPath, name);
  await log.until('both running', () => [one, two].every((container) => statesOf(container).includes('RUNNING')));
  expect(new Set(log.all('containerStateChanged').map(({ name }) => name))).toEqual(new Set([one.name, two.name]));
});

it('is synced again after lxc-monitord or lxc-monitor was killed, and tells what comes then', async () => {
  const lxcPath = join(base, 'a');
  await watch(lxcPath, join(base, 'b'));
  for (const [round, word] of ['lxc-monitord', 'lxc-monitor -P'].entries()) {
    const pids = await processes(word, lxcPath);
    expect(pids).toHaveLength(1);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await log.until('synced again', () => synced() === round + 2);
    const container = makeContainer(lxcPath, `c${round}`);
    await lxc('lxc-start', lxcPath, container.name);
    await log.until('running', () => statesOf(container).includes('RUNNING'));
  }
  expect(log.all('watcherFailed').every(({ source }) => source === 'lxc-monitor')).toBe(true);
  expect(log.all('watcherFailed').length).toBeGreaterThanOrEqual(2);
});

it('takes its lxc-monitor along; the lxc-monitord ends by itself once nobody listens', async () => {
  const lxcPath = join(base, 'a');
  await watch(lxcPath);
  await watcher?.stop();
  await watcher?.stop();
  expect(await processes('lxc-monitor -P', lxcPath)).toEqual([]);
  for (const deadline = Date.now() + 90_000; (await processes('lxc-monitord', lxcPath)).length > 0; ) {
    expect(Date.now()).toBeLessThan(deadline);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
});

it('finds what runs by its sockets, also behind hashed names', async () => {
  const long = join(base, 'x'.repeat(90));
  const containers = [
    makeContainer(join(base, 'a'), "w [e]'b"),
    makeContainer(long, 'web'),
    makeContainer(long, 'mail'),
  ];
  for (const { lxcPath, name } of containers) await lxc('lxc-start', lxcPath, name);
  const read = async () => {
    const { stdout } = await inNs('cat', '/proc/self/net/unix');
    return parseRunningContainers(stdout, [join(base, 'a'), long], containers).map(({ lxcPath, name }) => ({
      lxcPath,
      name,
    }));
  };
  expect(new Set((await read()).map(({ name }) => name))).toEqual(new Set(["w [e]'b", 'web', 'mail']));
  await lxc('lxc-stop', long, 'mail', '-k');
  await lxc('lxc-wait', long, 'mail', '-s', 'STOPPED', '-t', '20');
  expect((await read()).map(({ name }) => name)).not.toContain('mail');
  expect(await readRunningContainers([join(base, 'a')])).toEqual([]);
});

it('finds a container at every length around the limit of a socket name', async () => {
  const lengths = [98, 99, 100, 105, 106, 107, 108, 109];
  const containers = lengths.map((length, at) => {
    const room = length - '/command'.length - join(base, 'a').length - 1;
    return makeContainer(join(base, 'a'), `${at}`.padEnd(room, 'n'));
  });
  for (const { lxcPath, name } of containers) await lxc('lxc-start', lxcPath, name);
  const { stdout } = await inNs('cat', '/proc/self/net/unix');
  const found = parseRunningContainers(stdout, [join(base, 'a')], containers).map(({ name }) => name);
  expect(new Set(found)).toEqual(new Set(containers.map(({ name }) => name)));
});
