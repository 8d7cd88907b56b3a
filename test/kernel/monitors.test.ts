/** The real `ip monitor` and `nft monitor`; each child runs in a network namespace that the test makes. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Source, Watcher } from '../../watchers/events.ts';
import { watchIpMonitor } from '../../watchers/ip-monitor.ts';
import { watchNeighbourProxies } from '../../watchers/neighbour-proxies.ts';
import { watchNftMonitor } from '../../watchers/nft-monitor.ts';
import { type EventLog, logEvents } from '../watchers/event-log.ts';

const ns = `rw-mon-${process.pid}`;
const peer = `${ns}-c`;
let folder: string;
let log: EventLog;
let watcher: Watcher;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'routewall-monitors-'));
  log = logEvents();
  await execa('ip', ['netns', 'add', ns]);
  await execa('ip', ['netns', 'add', peer]);
});
afterEach(async () => {
  await watcher.stop();
  await execa('ip', ['netns', 'del', ns]);
  await execa('ip', ['netns', 'del', peer]);
  rmSync(folder, { recursive: true });
});

/** A program that runs another one in the test's namespace, as the same process. */
function inNamespace(program: string): string {
  const path = join(folder, program);
  writeFileSync(path, `#!/bin/sh\nexec nsenter --net=/run/netns/${ns} ${program} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

const ip = (...args: string[]) => execa('ip', ['-n', ns, ...args]);
const nft = (input: string) => execa('nsenter', [`--net=/run/netns/${ns}`, 'nft', '-f', '-'], { input });
const synced = (source: Source) => log.all('synced').filter((event) => event.source === source).length;
const commits = () => log.all('rulesetCommitted');

/** The watcher's own child, by its parent and its arguments. */
async function childOf(word: string): Promise<number> {
  const { stdout } = await execa('pgrep', ['-P', String(process.pid), '-f', word]);
  return Number(stdout.split('\n')[0]);
}

async function startIp(): Promise<void> {
  watcher = watchIpMonitor(log.bus, { command: inNamespace('ip') });
  await watcher.start();
  await log.until('synced', () => synced('ip-monitor') === 1);
}

async function startNft(): Promise<void> {
  watcher = watchNftMonitor(log.bus, { command: inNamespace('nft') });
  await watcher.start();
  await log.until('synced', () => synced('nft-monitor') === 1);
}

it('tells of the first link that comes after synced, of its addresses, routes and settings, and of its end', async () => {
  await startIp();
  await ip('link', 'add', 'vethA', 'type', 'veth', 'peer', 'name', 'vethB');
  await ip('link', 'set', 'vethA', 'up');
  await ip('address', 'add', '192.0.2.1/24', 'dev', 'vethA');
  await ip('route', 'add', '198.51.100.10/32', 'dev', 'vethA', 'proto', '119');
  await execa('nsenter', [`--net=/run/netns/${ns}`, 'sysctl', '-w', 'net.ipv4.conf.vethA.forwarding=1']);
  await log.until('told of the setting', () => log.all('sysctlChanged').some(({ dev }) => dev === 'vethA'));
  await ip('link', 'del', 'vethA');
  const gone = { event: 'linkChanged', name: 'vethA', deleted: true };
  await log.until('told of the end', () => log.told.some((one) => JSON.stringify(one) === JSON.stringify(gone)));
  expect(log.told).toContainEqual({ event: 'linkChanged', name: 'vethA', deleted: false });
  expect(log.told).toContainEqual({ event: 'addressChanged', dev: 'vethA', deleted: false });
  const route = { dev: 'vethA', protocol: '119', table: '', isDefault: false, deleted: false };
  expect(log.told).toContainEqual({ event: 'routeChanged', ...route });
});

it('tells both names of a renamed link, and the end of one that moves to another namespace', async () => {
  await startIp();
  await ip('link', 'add', 'vethA', 'type', 'veth', 'peer', 'name', 'vethB');
  await ip('link', 'set', 'vethA', 'name', 'vethC');
  await ip('link', 'set', 'vethB', 'netns', peer);
  await log.until('told of the move', () => log.all('linkChanged').some((e) => e.name === 'vethB' && e.deleted));
  expect(log.told).toContainEqual({ event: 'linkChanged', name: 'vethA', deleted: true });
  expect(log.told).toContainEqual({ event: 'linkChanged', name: 'vethC', deleted: false });
});

it('is synced again after its ip was killed, and tells what comes then', async () => {
  await startIp();
  process.kill(await childOf('monitor'), 'SIGKILL');
  await log.until('synced again', () => synced('ip-monitor') === 2);
  expect(log.all('watcherFailed').map(({ cause }) => cause.message)).toEqual([expect.stringContaining('SIGKILL')]);
  await ip('link', 'add', 'vethA', 'type', 'veth', 'peer', 'name', 'vethB');
  await log.until('told of the link', () => log.all('linkChanged').some(({ name }) => name === 'vethA'));
});

it('tells of a thousand routes that are added at once', async () => {
  await startIp();
  await ip('link', 'set', 'lo', 'up');
  const lines = Array.from(
    { length: 1000 },
    (_, i) => `route add 203.0.113.${i % 250}/32 dev lo proto 119 table ${100 + Math.floor(i / 250)}`,
  );
  await execa('ip', ['-n', ns, '-batch', '-'], { input: lines.join('\n') });
  await log.until(
    'told of all',
    () => log.all('routeChanged').filter(({ protocol }) => protocol === '119').length === 1000,
  );
});

it('starts over when ip fell behind and lost messages', async () => {
  await startIp();
  const pid = await childOf('monitor');
  await ip('link', 'set', 'lo', 'up');
  process.kill(pid, 'SIGSTOP');
  const lines = Array.from({ length: 30_000 }, (_, i) => `route add 2001:db8::${i.toString(16)}/128 dev lo`);
  await execa('ip', ['-n', ns, '-6', '-batch', '-'], { input: lines.join('\n') });
  process.kill(pid, 'SIGCONT');
  await log.until('synced again', () => synced('ip-monitor') === 2);
  expect(log.all('watcherFailed')[0]?.cause.message).toContain('No buffer space available');
});

it('tells who committed what, and whether our tables were touched', async () => {
  await startNft();
  await nft('add table inet routewall');
  await nft('add table ip other');
  await nft('add chain ip other c { comment "add table inet routewall"; }');
  await nft('add table arp routewall');
  await nft('flush ruleset');
  await log.until('told of all', () => commits().length === 5);
  expect(commits().map(({ process: name, touchesOurs }) => [name, touchesOurs])).toEqual([
    ['nft', true],
    ['nft', false],
    ['nft', false],
    ['nft', true],
    ['nft', true],
  ]);
  const generations = commits().map(({ generation }) => generation);
  expect(generations).toEqual(generations.map((_, at) => (generations[0] ?? 0) + at));
  expect(commits().every(({ pid }) => pid > 0)).toBe(true);
});

it('names the process that committed', async () => {
  await startNft();
  const child = execa('nsenter', [`--net=/run/netns/${ns}`, 'nft', 'add', 'table', 'ip', 'other']);
  await child;
  await log.until('told', () => commits().length === 1);
  // nsenter becomes nft by exec: one process.
  expect(commits()[0]?.pid).toBe(child.pid);
});

it('takes a commit for one to our tables where nft has forgotten the set that it changed', async () => {
  const rule = 'iifname @veths drop';
  await nft(
    `table inet routewall {\nset veths { type ifname; elements = { "a", "b" }; }\nchain c { ${rule}; }\n}\nadd table ip other`,
  );
  await startNft();
  // nft's monitor forgets the set with the rule that used it.
  await nft(`flush chain inet routewall c\nadd rule inet routewall c ${rule}`);
  await nft('delete element inet routewall veths { "a" }');
  await nft('add chain ip other c\nflush set inet routewall veths');
  await log.until('three commits to our tables', () => {
    const ours = commits().filter(({ touchesOurs }) => touchesOurs);
    return new Set(ours.map(({ generation }) => generation)).size === 3;
  });
});

it('is synced again after its nft was killed, and tells what comes then', async () => {
  await startNft();
  process.kill(await childOf('monitor'), 'SIGKILL');
  await log.until('synced again', () => synced('nft-monitor') === 2);
  await nft('add table inet routewall');
  await log.until('told of the commit', () => commits().length === 1);
  expect(commits()[0]?.touchesOurs).toBe(true);
});

it('tells a commit of a thousand elements as one, and a thousand commits each', async () => {
  await startNft();
  const elements = Array.from({ length: 1000 }, (_, i) => `"veth${i}"`).join(', ');
  await nft(`add table inet routewall\nadd set inet routewall veths { type ifname; elements = { ${elements} }; }`);
  await log.until('told of one', () => commits().length === 1);
  // Each line of an interactive nft is its own transaction.
  const lines = Array.from({ length: 1000 }, (_, i) => `add element inet routewall veths { "v${i}" }`);
  await execa('nsenter', [`--net=/run/netns/${ns}`, 'nft', '-i'], { input: `${lines.join('\n')}\n` });
  await log.until('told of all', () => commits().length === 1001, 40_000);
  expect(log.all('watcherFailed')).toEqual([]);
});

it('leaves no child behind', async () => {
  await startNft();
  const pid = await childOf('monitor');
  await watcher.stop();
  await watcher.stop();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

it.each([['ip-monitor', watchIpMonitor] as const, ['nft-monitor', watchNftMonitor] as const])(
  '%s reports a missing program, and is synced once there is one',
  async (source, watch) => {
    const program = source === 'ip-monitor' ? 'ip' : 'nft';
    watcher = watch(log.bus, {
      command: join(folder, program),
      backoff: { firstMs: 20, maxMs: 50, healthyMs: 30_000 },
    });
    await watcher.start();
    await log.until('failed twice', () => log.all('watcherFailed').length >= 2);
    expect(log.all('watcherFailed')[0]).toMatchObject({ source, retryInMs: 20 });
    expect(synced(source)).toBe(0);
    inNamespace(program);
    await log.until('synced', () => synced(source) === 1);
  },
);

const lost = () => new Set(log.all('proxyLost').map(({ address }) => address));

it('tells of neighbour proxies that go, one by one or with their link, and of no others', async () => {
  await ip('link', 'add', 'up0', 'up', 'type', 'veth', 'peer', 'name', 'up1');
  await ip('link', 'set', 'up1', 'up');
  const proxy = (verb: string, address: string, dev = 'up0') => ip('neigh', verb, 'proxy', address, 'dev', dev);
  for (let last = 1; last <= 200; last += 1) await proxy('add', `198.51.100.${last}`);
  await proxy('add', '2001:db8::1');
  await proxy('add', '2001:db8::1', 'up1');
  watcher = watchNeighbourProxies(log.bus, { command: inNamespace('perl'), seconds: 0.02 });
  await watcher.start();
  await log.until('synced', () => synced('neighbour-proxies') === 1);
  await proxy('add', '198.51.100.201');
  await proxy('del', '198.51.100.7');
  await log.until('lost', () => lost().size === 1);
  await proxy('del', '2001:db8::1');
  await log.until('lost', () => lost().size === 2);
  expect([...lost()]).toEqual(['198.51.100.7', '2001:db8::1']);
  await ip('link', 'set', 'up0', 'down');
  await log.until('all lost', () => lost().size === 202);
});

it('tells again of a proxy that was put back and taken away between two looks, and not for ever', async () => {
  await ip('link', 'add', 'up0', 'up', 'type', 'veth', 'peer', 'name', 'up1');
  const proxy = (verb: string) => ip('neigh', verb, 'proxy', '198.51.100.1', 'dev', 'up0');
  const times = () => log.all('proxyLost').length;
  await proxy('add');
  watcher = watchNeighbourProxies(log.bus, { command: inNamespace('perl'), seconds: 0.2 });
  await watcher.start();
  await log.until('synced', () => synced('neighbour-proxies') === 1);
  await proxy('del');
  await log.until('lost', () => times() === 1);
  await proxy('add');
  await proxy('del');
  await log.until('lost again', () => times() > 1);
  await log.until('told ten times', () => times() === 10);
  await sleep(500);
  expect(times()).toBe(10);
});
