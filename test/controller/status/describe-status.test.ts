/** What is remembered of a container's status is what would be told of it anew. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { HostReader } from '../../../controller/host/host-reader.ts';
import type { Outcome } from '../../../controller/pass/outcome.ts';
import { describeStatus, type ServiceFacts } from '../../../controller/status/describe-status.ts';
import { jsonPieces } from '../../../controller/status/json-pieces.ts';
import { readRevision, readServer, readStatusFile, writeStatusFile } from '../../../controller/status/status-file.ts';
import type { StatusFile } from '../../../controller/status/status-shape.ts';
import { closedPolicy } from '../../../policies/compile-policy.ts';
import type { NicState } from '../../../render/desired.ts';
import { cleanUp, makeFolder } from '../../../sandbox/clean-up.ts';
import { keyOf, nicOf, stateOf, veth } from '../states.ts';

afterAll(cleanUp);

const COUNT = 3;
const setting = (value: string) => ({ key: 'net.ipv4.ip_forward', value, reason: 'it routes' });

/** What describes three containers; each test changes one thing of it. */
interface World {
  states: string[];
  policies: object[];
  nics: (NicState | undefined)[];
  since: string[];
  refused: Map<string, string>;
  unrouted: Map<string, string>;
  problems: Map<string, object[]>;
  unenforceable: Map<string, object[]>;
  traffic: object[];
}

let world: World;
let containers: object[];

const policy = (status: string): object => ({
  file: 'containers/x.yaml',
  status,
  compiled: { problems: [] },
  enforced: { default: closedPolicy, interfaces: new Map(), routes: [] },
});
const idOf = (index: number): string => `/lxc/c${index}`;
const key = (index: number): string => keyOf(nicOf(index, 80));
const makeContainers = (): object[] =>
  Array.from({ length: COUNT }, (_, index) => ({
    id: idOf(index),
    name: `c${index}`,
    endpoints: [{ key: key(index) }],
    problems: [],
  }));

beforeEach(() => {
  containers = makeContainers();
  world = {
    states: ['RUNNING', 'RUNNING', 'RUNNING'],
    policies: [policy('enforced'), policy('enforced'), policy('enforced')],
    nics: [0, 1, 2].map((index) => ({ ...nicOf(index, 80), sysctls: [setting('1')] })),
    since: ['2026-11-01T00:00:00.000Z', '2026-11-02T00:00:00.000Z', '2026-11-03T00:00:00.000Z'],
    ...{ refused: new Map(), unrouted: new Map(), problems: new Map(), unenforceable: new Map(), traffic: [] },
  };
});

/** What the daemon says of itself; a policy folder may have any name. */
const service = {
  ...{ pid: 7, started: 8 },
  serves: { config: '/etc/c.yaml', policies: '/etc/,"generation":null,"containers":[', lxcPaths: ['/var/lib/lxc'] },
  revision: { inForce: 3, autoApply: true, unconfirmed: null, waiting: ['containers/x.yaml'], reason: null },
  panic: {
    all: null,
    containers: [{ container: 'c1', since: '2026-11-01T00:00:00.000Z', reason: 'so' }],
    damaged: null,
  },
};

async function describe(of = containers): Promise<StatusFile> {
  const known = of.map((container, index) => ({
    ...{ container, name: `c${index}`, runtime: { state: world.states[index] } },
  }));
  const enforced = stateOf(...world.nics.filter((nic) => nic !== undefined));
  const outcome = {
    assembled: {
      ...{ policies: new Map(world.policies.map((each, index) => [idOf(index), each])), names: [], wireProblems: [] },
      ...{ problems: world.problems, unenforceable: world.unenforceable },
    },
    applied: { enforced, unheld: new Map(), refused: world.refused, unrouted: world.unrouted },
    traffic: world.traffic,
  };
  const reader = { known: new Map(known.map((each) => [each.name, each])), config: { wires: [] } };
  const facts = {
    nicsSince: new Map(world.since.map((time, index) => [key(index), time])),
    watchers: new Map(),
    unread: [],
    ...service,
  };
  return await describeStatus(
    outcome as unknown as Outcome,
    { ...reader, configProblems: [], loaded: { problems: [] } } as unknown as HostReader,
    facts as unknown as ServiceFacts,
  );
}

const problem = { file: 'containers/x.yaml', line: 1, column: 1, message: 'so it is', severity: 'error' };
const CHANGES: Record<string, (now: World) => void> = {
  'its state': (now) => now.states.splice(1, 1, 'FROZEN'),
  'its policy': (now) => now.policies.splice(1, 1, policy('broken')),
  'its interface': (now) => now.nics.splice(1, 1, { ...nicOf(1, 80), hostVeth: veth('other') }),
  'no interface any more': (now) => now.nics.splice(1, 1, undefined),
  'when it was enforced': (now) => now.since.splice(1, 1, '2026-11-04T00:00:00.000Z'),
  'that nft refuses it': (now) => now.refused.set(key(1), 'no'),
  'that ip refuses it': (now) => now.unrouted.set(key(1), 'no'),
  'a problem': (now) => now.problems.set(idOf(1), [problem]),
  'a network that is not ours': (now) => now.unenforceable.set(idOf(1), [problem]),
};

test.each(Object.entries(CHANGES))(
  'another container is told of as before, and of this one is told %s',
  async (_, change) => {
    const before = await describe();
    expect((await describe()).containers[1]).toBe(before.containers[1]);
    change(world);
    const after = await describe();
    expect(after.containers[1]).not.toEqual(before.containers[1]);
    expect(after.containers).toEqual((await describe(makeContainers())).containers);
    expect(after.containers[0]).toBe(before.containers[0]);
  },
);

test('a limit that is not in force is told of once it fails, and no more once it holds', async () => {
  const limits = { egress: { bitsPerSecond: 1_000_000, origin: { file: 'containers/x.yaml', line: 2 } } };
  world.nics[1] = { ...nicOf(1, 80), limits } as unknown as NicState;
  const before = await describe();
  world.traffic = [{ dev: 'veth1', part: 'redirect', why: 'no' }];
  expect((await describe()).containers[1]?.problems).toHaveLength(1);
  world.traffic = [];
  expect((await describe()).containers).toEqual(before.containers);
});

test('a setting of several is told once, and what another NIC then wants in its place', async () => {
  expect((await describe()).sysctls).toEqual([setting('1')]);
  world.nics[2] = { ...nicOf(2, 80), sysctls: [setting('2')] };
  expect((await describe()).sysctls).toEqual([setting('2')]);
});

test('the file holds what is described, whatever was written before', async () => {
  const textOf = async (): Promise<unknown> => JSON.parse((await jsonPieces(await describe())).join(''));
  for (const change of Object.values(CHANGES)) {
    expect(await textOf()).toEqual(JSON.parse(JSON.stringify(await describe(makeContainers()))));
    change(world);
  }
});

test('who asks for the service alone reads nothing of the containers', async () => {
  const folder = await makeFolder();
  await writeStatusFile(folder, await describe());
  const file = join(folder, 'status.json');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/"container":"c0".*/s, ''));
  await expect(readStatusFile(folder)).rejects.toThrow(/status[.]json: /);
  const { pid, started, serves, revision } = service;
  expect(await readServer(folder)).toEqual({ pid, started, serves });
  expect(await readRevision(folder)).toEqual(revision);
});
