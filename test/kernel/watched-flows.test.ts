/** Connections of who is about to start, read ahead: what came meanwhile is told too, or it is said that it can't be. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Resident } from '../../controller/commands/run.ts';
import { type TrackedFlow, trackedFlows } from '../../controller/connections/tracked-flows.ts';
import { openWatchedFlows, type WatchedFlows } from '../../controller/connections/watched-flows.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { countTracked, trackConnections } from '../../sandbox/tracked-connections.ts';
import { certain } from '../controller/states.ts';
import { runIn, streamIn, talkIn } from './namespace-commands.ts';

let host: Namespace;
let watched: WatchedFlows;
let started: Resident[];

beforeEach(async () => {
  host = await createNamespace('host');
  // Without a rule that asks about connections, a namespace has no table of them.
  const rule = 'table inet t { chain c { type filter hook output priority 0; ct state established accept; }; }';
  await host.run('nft', [rule]);
  await host.run('ip', ['link', 'set', 'lo', 'up']);
  started = [];
  // A busy machine takes its time.
  watched = openWatchedFlows(talkIn(host, started), 30_000);
});
afterEach(async () => {
  watched.stop();
  await cleanUp();
});

const insert = (words: string) => host.run('conntrack', ['-I', '-t', '600', ...words.split(' ')]);
const tcp = (from: string, to: string, port: number) =>
  insert(`-p tcp -s ${from} -d ${to} --sport 1000 --dport ${port} --state ESTABLISHED`);
const prefixes = (...texts: string[]): Prefix[] => texts.map((text) => certain(parsePrefix(text)));
const wordsOf = (flows: readonly TrackedFlow[] | undefined) =>
  flows?.map(({ source, destination, port }) => `${source} ${destination} ${port}`).sort();

const listeners = async (): Promise<number> => {
  const { stdout } = await host.run('cat', ['/proc/net/netlink']);
  return stdout.split('\n').filter((line) => /^\S+ +12 +\d+ +0*1 /.test(line)).length;
};
/** Begins, and returns when what comes from now on isn't read with the table. */
async function begin(all: readonly Prefix[]): Promise<void> {
  watched.begin(all);
  await eventually('it follows', async () => (await listeners()) === 1);
  await sleep(100);
}

const WEB = prefixes('198.51.100.1/32', '2001:db8::1/128');

it('tells what there was and what came meanwhile, once, by handles that remove it', async () => {
  await tcp('203.0.113.9', '198.51.100.1', 22);
  await tcp('198.51.100.1', '203.0.113.9', 25);
  await tcp('203.0.113.9', '198.51.100.2', 22);
  await begin(WEB);
  await tcp('203.0.113.9', '198.51.100.1', 23);
  await tcp('2001:db8:9::9', '2001:db8::1', 24);
  await tcp('203.0.113.9', '198.51.100.2', 24);
  const flows = certain(await watched.take(WEB));
  expect(wordsOf(flows)).toEqual([
    '198.51.100.1 203.0.113.9 25',
    '2001:db8:9::9 2001:db8::1 24',
    '203.0.113.9 198.51.100.1 22',
    '203.0.113.9 198.51.100.1 23',
  ]);
  await trackedFlows(runIn(host), streamIn(host)).remove(flows.map(({ handle }) => handle));
  expect(await countTracked(host)).toBe(2);
  expect(await watched.take(WEB)).toBe(undefined);
});

it('tells of real packets what the table says', async () => {
  const own = prefixes('127.0.0.0/8');
  const send = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0); for (1 .. 500) { send $s, 'x', 0, pack_sockaddr_in(2000 + $_, inet_aton('127.0.0.1')) }`;
  await begin(own);
  await host.run('perl', ['-e', send]);
  const flows = certain(await watched.take(own));
  const ports = new Set(flows.map(({ port }) => port));
  for (let port = 2001; port <= 2500; port += 1) expect(ports).toContain(port);
});

it('tells of some of the prefixes, and nothing of others', async () => {
  await tcp('203.0.113.9', '198.51.100.1', 22);
  await begin(WEB);
  await tcp('2001:db8:9::9', '2001:db8::1', 24);
  expect(await watched.take([...WEB, ...prefixes('198.51.100.7/32')])).toBe(undefined);
  expect(wordsOf(await watched.take(WEB.slice(1)))).toEqual(['2001:db8:9::9 2001:db8::1 24']);
});

it('begins for nobody while many start', async () => {
  watched.begin(WEB);
  expect(await watched.take(prefixes('198.51.100.7/32'))).toBe(undefined);
  expect(await watched.take(WEB)).toEqual([]);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toBe(undefined);
  await sleep(1_100);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toEqual([]);
});

it('says nothing where the kernel tells of no new ones, or of more than it can', async () => {
  await host.run('sh', ['-c', 'echo 0 >/proc/sys/net/netfilter/nf_conntrack_events']);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toBe(undefined);
  await host.run('sh', ['-c', 'echo 1 >/proc/sys/net/netfilter/nf_conntrack_events']);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toEqual([]);
  await begin(WEB);
  await trackConnections(host, { source: '198.51.100.1', server: '203.0.113.1', port: 53, count: 25_000 });
  expect(await watched.take(WEB)).toBe(undefined);
});

it('follows no longer than a start takes', async () => {
  watched.stop();
  watched = openWatchedFlows(talkIn(host));
  await begin(WEB);
  await eventually('it does no more', async () => (await listeners()) === 0);
  expect(await watched.take(WEB)).toBe(undefined);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toEqual([]);
});

it('keeps nobody waiting for a process that is gone, or hangs', async () => {
  watched.begin(WEB);
  process.kill(certain(started[0]?.pid), 'SIGSTOP');
  expect(await watched.take(WEB)).toBe(undefined);
  watched.begin(WEB);
  expect(await watched.take(WEB)).toBe(undefined);
  expect(started).toHaveLength(1);
});
