/** The kernel's table of tracked connections, read and thinned out by netlink. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createConntrackCleaner } from '../../controller/connections/conntrack.ts';
import { createFlowCutter } from '../../controller/connections/cut-flows.ts';
import { type TrackedFlow, type TrackedFlows, trackedFlows } from '../../controller/connections/tracked-flows.ts';
import type { FlowHost } from '../../controller/explain/flow-sides.ts';
import { describeHost } from '../../policies/host-network.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { NicState } from '../../render/desired.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { countTracked, trackConnections } from '../../sandbox/tracked-connections.ts';
import { certain, nicOf, stateOf } from '../controller/states.ts';
import { runIn, streamIn } from './namespace-commands.ts';

let host: Namespace;
let flows: TrackedFlows;

beforeEach(async () => {
  host = await createNamespace('host');
  // Without a rule that asks about connections, a namespace has no table of them.
  const rule = 'table inet t { chain c { type filter hook forward priority 0; ct state established accept; }; }';
  await host.run('nft', [rule]);
  flows = trackedFlows(runIn(host), streamIn(host));
});
afterEach(cleanUp);

const insert = (words: string) => host.run('conntrack', ['-I', '-t', '600', ...words.split(' ')]);
const prefixes = (...texts: string[]): Prefix[] => texts.map((text) => certain(parsePrefix(text)));

async function list(...texts: string[]): Promise<TrackedFlow[]> {
  const all: TrackedFlow[] = [];
  for await (const some of flows.read(prefixes(...texts))) all.push(...some);
  return all;
}

const words = ({ source, destination, protocol, port, icmpType }: TrackedFlow): string =>
  `${protocol} ${source} ${destination} ${port ?? icmpType ?? '-'}`;

const wordsOf = async (...texts: string[]): Promise<string[]> => (await list(...texts)).map(words).sort();

const OUT = '-p tcp -s 198.51.100.1 -d 192.0.2.1 --sport 1000 --dport 22 --state ESTABLISHED';
const ELSEWHERE = '-p tcp -s 198.51.100.2 -d 192.0.2.1 --sport 1000 --dport 22 --state ESTABLISHED';
const TRANSLATED =
  '-p udp -s 203.0.113.9 -d 192.0.2.1 --sport 1000 --dport 8053 --reply-src 198.51.100.1 --reply-dst 203.0.113.9 --reply-port-src 53 --reply-port-dst 1000';
const MASQUERADED =
  '-p udp -s 198.51.100.1 -d 203.0.113.9 --sport 1000 --dport 123 --reply-src 203.0.113.9 --reply-dst 192.0.2.1 --reply-port-src 123 --reply-port-dst 4000';
const PING = '-p icmp -s 198.51.100.1 -d 192.0.2.1 --icmp-type 8 --icmp-code 0 --icmp-id 77';
const ZONE = '-p tcp -w 5 -s 198.51.100.1 -d 192.0.2.1 --sport 1001 --dport 23 --state ESTABLISHED';
const SIX = '-p tcp -s 2001:db8::1 -d 2001:db8:1::1 --sport 1000 --dport 22 --state ESTABLISHED';
const PING6 = '-p icmpv6 -s 2001:db8::1 -d 2001:db8:1::1 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77';

const OF_ONE = [
  '1 198.51.100.1 192.0.2.1 8',
  '17 198.51.100.1 203.0.113.9 123',
  '17 203.0.113.9 198.51.100.1 53',
  '58 2001:db8::1 2001:db8:1::1 128',
  '6 198.51.100.1 192.0.2.1 22',
  '6 198.51.100.1 192.0.2.1 23',
  '6 2001:db8::1 2001:db8:1::1 22',
];

const ASKED: readonly (readonly [what: string, ...asked: readonly string[]])[] = [
  ['a few addresses', '198.51.100.1/32', '2001:db8::1/128'],
  ['many addresses', '198.51.100.1/32', '2001:db8::1/128', '198.51.100.77/32', '198.51.100.78/32'],
  ['a prefix', '198.51.100.0/31', '2001:db8::/64'],
];

/** Somebody else's; a table of more than 20,000 isn't told whole. */
const OTHERS = [0, 5_000, 20_001];

it.each(ASKED.flatMap(([what, ...asked]) => OTHERS.map((count) => [what, count, asked] as const)))(
  'tells and removes what the rules saw, translated or not, of %s among %i others',
  async (_, count, asked) => {
    const others = { source: '198.51.100.9', server: '203.0.113.1', port: 53 };
    if (count > 0) await trackConnections(host, { ...others, count });
    for (const words of [OUT, ELSEWHERE, TRANSLATED, MASQUERADED, PING, ZONE, SIX, PING6]) await insert(words);
    expect(await wordsOf(...asked)).toEqual(OF_ONE);
    const doomed = await list(...asked);
    await flows.remove(doomed.map(({ handle }) => handle));
    expect(await wordsOf(...asked)).toEqual([]);
    expect(await wordsOf('198.51.100.2/32')).toEqual(['6 198.51.100.2 192.0.2.1 22']);
    // Who ended by itself meanwhile is no error.
    await flows.remove(doomed.map(({ handle }) => handle));
  },
);

it('tells what the sender wrote where translation led it elsewhere, and nothing more where not', async () => {
  for (const words of [OUT, TRANSLATED, MASQUERADED, PING]) await insert(words);
  const asked = (await list('198.51.100.1/32')).map((flow) => `${words(flow)} ${JSON.stringify(flow.asked)}`);
  expect(asked.sort()).toEqual([
    '1 198.51.100.1 192.0.2.1 8 undefined',
    '17 198.51.100.1 203.0.113.9 123 undefined',
    '17 203.0.113.9 198.51.100.1 53 {"destination":"192.0.2.1","port":8053}',
    '6 198.51.100.1 192.0.2.1 22 undefined',
  ]);
});

const DATAGRAMS = '-p udp -s 203.0.113.9 -d 198.51.100.1 --sport 1000 --dport 53';
/** What answers to them begin. */
const ANSWERS = '-p udp -s 198.51.100.1 -d 203.0.113.9 --sport 53 --dport 1000';
const SIX_DATAGRAMS = '-p udp -s 2001:db8:9::9 -d 2001:db8::1 --sport 1000 --dport 53';
const SIX_ANSWERS = '-p udp -s 2001:db8::1 -d 2001:db8:9::9 --sport 53 --dport 1000';
const OWN = ['198.51.100.1/32', '2001:db8::1/128'] as const;

async function insertAndFind(...entries: readonly string[]): Promise<string[]> {
  for (const words of entries) await insert(words);
  return (await list(...OWN)).map(({ handle }) => handle);
}

const shutOf = async (): Promise<string[]> =>
  (await list(...OWN)).map((flow) => `${words(flow)}${flow.isShut ? ' shut' : ''}`).sort();

it('shuts flows where an answer has begun one, and by its handle opens them again', async () => {
  const handles = await insertAndFind(DATAGRAMS, `${DATAGRAMS} -w 5`, SIX_DATAGRAMS);
  await flows.remove(handles);
  // Where nobody answers, nothing is to be kept away.
  await flows.shut(handles);
  expect(await shutOf()).toEqual([]);
  const shut = ['17 2001:db8:9::9 2001:db8::1 53 shut', '17 203.0.113.9 198.51.100.1 53 shut'];
  const begun = [ANSWERS, SIX_ANSWERS];
  for (const words of begun) await insert(words);
  for (let again = 0; again < 2; again += 1) {
    await flows.shut(handles);
    expect(await shutOf()).toEqual(shut);
  }
  for (const words of begun) await expect(insert(words)).rejects.toThrow(/Such conntrack exists/);
  await flows.remove((await list(...OWN)).map(({ handle }) => handle));
  expect(await shutOf()).toEqual([]);
});

it('takes who asks for an address for no flow that is shut', async () => {
  await insert('-p udp -s 0.0.0.0 -d 198.51.100.1 --sport 68 --dport 67');
  expect(await shutOf()).toEqual(['17 0.0.0.0 198.51.100.1 67']);
});

it('shuts, each in its place, what a hundred others answer', async () => {
  const ports = Array.from({ length: 120 }, (_, index) => 2000 + index);
  const entries = ports.map((port) => ANSWERS.replace('1000', String(port)));
  await flows.shut(await insertAndFind(...ports.map((port) => DATAGRAMS.replace('1000', String(port)))));
  expect(await shutOf()).toEqual(ports.map(() => '17 203.0.113.9 198.51.100.1 53 shut'));
  await expect(insert(entries[119] ?? '')).rejects.toThrow(/Such conntrack exists/);
});

it.each([
  ['its destination', TRANSLATED, '-p udp -s 198.51.100.1 -d 203.0.113.9 --sport 53 --dport 1000'],
  ['its source', MASQUERADED, '-p udp -s 203.0.113.9 -d 192.0.2.1 --sport 123 --dport 4000'],
])('only removes what was translated in %s', async (_, entry, answers) => {
  const handles = await insertAndFind(entry);
  await flows.remove(handles);
  await insert(answers);
  await flows.shut(handles);
  expect(await countTracked(host)).toBe(0);
});

it('forgets an address on either side of a translation', async () => {
  for (const words of [OUT, ELSEWHERE, TRANSLATED, MASQUERADED, PING, ZONE, SIX]) await insert(words);
  expect(await flows.forget(prefixes('198.51.100.1/32'))).toBe(5);
  expect(await wordsOf('198.51.100.1/32')).toEqual([]);
  expect(await wordsOf('198.51.100.2/32', '2001:db8::1/128')).toHaveLength(2);
});

it('says why the kernel refuses', async () => {
  const asNobody = trackedFlows(
    (command, args, options) => runIn(host)('setpriv', ['--bounding-set=-net_admin', command, ...args], options),
    streamIn(host),
  );
  await expect(asNobody.forget(prefixes('198.51.100.1/32'))).rejects.toThrow(/Operation not permitted/);
});

const network = describeHost([], { uplinks: 'auto', guard: [], veths: new Set() });
const hostWith = (...nics: NicState[]): FlowHost => ({ desired: stateOf(...nics), network });

/** Allows to send to that UDP port, and nothing else. */
function sendsTo(number: number, port: number): NicState {
  const nic = nicOf(number, port);
  const rules = nic.egress.rules.map((rule) => ({
    ...rule,
    service: { kind: 'ports' as const, protocol: 17 as const, ports: [{ first: port, last: port }] },
  }));
  return { ...nic, egress: { ...nic.egress, rules } };
}

it('cuts what the rules no longer allow, and leaves the rest of 20,000 alone', async () => {
  const server = '203.0.113.1';
  await trackConnections(host, { source: '198.51.100.1', server, port: 53, count: 6000 });
  await trackConnections(host, { source: '198.51.100.1', server, port: 123, count: 4000 });
  await trackConnections(host, { source: '198.51.100.2', server, port: 123, count: 10_000 });
  expect(await countTracked(host)).toBe(20_000);
  const logged: string[] = [];
  const cutter = createFlowCutter(flows, (_, text) => void logged.push(text));
  // The second may not send there either, but its rules didn't change.
  cutter.cut(hostWith(sendsTo(1, 53), sendsTo(2, 53)), ['/lxc/c1/0']);
  await cutter.idle();
  expect(await countTracked(host)).toBe(16_000);
  expect(logged).toEqual(['c1: 4000 connections cut that the policies no longer allow']);
  // A hundred times the same changes nothing.
  for (let round = 0; round < 100; round += 1) cutter.cut(hostWith(sendsTo(1, 53), sendsTo(2, 123)), ['/lxc/c1/0']);
  await cutter.idle();
  expect(await countTracked(host)).toBe(16_000);
  // What is allowed again while the table is read lives.
  cutter.cut(hostWith(sendsTo(1, 80), sendsTo(2, 123)), ['/lxc/c1/0']);
  cutter.cut(hostWith(sendsTo(1, 53), sendsTo(2, 123)), []);
  await cutter.idle();
  expect(await countTracked(host)).toBe(16_000);
});

it('spares what rules allow that are being brought into force, unless they never are', async () => {
  await insert('-p udp -s 198.51.100.1 -d 203.0.113.9 --sport 1000 --dport 53');
  const logged: string[] = [];
  const cutter = createFlowCutter(flows, (_, text) => void logged.push(text));
  const forbids = hostWith(sendsTo(1, 80));
  cutter.cut(forbids, ['/lxc/c1/0']);
  cutter.expect(hostWith(sendsTo(1, 53)));
  // It is judged anew all the time.
  await sleep(600);
  expect(await list('198.51.100.1/32')).toHaveLength(1);
  cutter.expect(undefined);
  await cutter.idle();
  expect(await list('198.51.100.1/32')).toEqual([]);
  expect(logged).toEqual(['c1: 1 connection cut that the policies no longer allow']);
});

it('ends what keeps a flow away when it is allowed, and tells nobody', async () => {
  await insert('-p udp -s 198.51.100.1 -d 203.0.113.9 --sport 1000 --dport 53');
  await flows.shut((await list('198.51.100.1/32')).map(({ handle }) => handle));
  const logged: string[] = [];
  const cutter = createFlowCutter(flows, (_, text) => void logged.push(text));
  for (const [port, left] of [
    [80, 1],
    [53, 0],
  ] as const) {
    cutter.cut(hostWith(sendsTo(1, port)), ['/lxc/c1/0']);
    await cutter.idle();
    expect(await list('198.51.100.1/32')).toHaveLength(left);
  }
  expect(logged).toEqual([]);
});

it('cuts after the program that reads or cuts was killed', async () => {
  await trackConnections(host, { source: '198.51.100.1', server: '203.0.113.1', port: 53, count: 10 });
  const before = await countTracked(host);
  const logged: string[] = [];
  let failures = 0;
  const failing: TrackedFlows['read'] = (prefixes) => {
    if (failures++ === 0) throw new Error('killed');
    return flows.read(prefixes);
  };
  const cutter = createFlowCutter({ ...flows, read: failing }, (_, text) => void logged.push(text));
  cutter.cut(hostWith(sendsTo(1, 80), sendsTo(2, 53)), ['/lxc/c1/0']);
  await eventually('they are cut', async () => (await countTracked(host)) < before);
  await cutter.idle();
  expect(logged[0]).toBe('connections that are no longer allowed: killed; trying again in 500 ms');
});

it('forgets, before another has the address, though the program is killed twice', async () => {
  let tries = 0;
  const forget: TrackedFlows['forget'] = async () => {
    tries += 1;
    if (tries < 3) throw new Error('killed');
    return 0;
  };
  const cleaner = createConntrackCleaner(
    { forget },
    (_, text) => expect.fail(text),
    () => false,
  );
  await cleaner.release([]);
  expect(tries).toBe(3);
});
