/** What `ip` refuses to remove is removed by a later comparison, unless it is wanted again or another's by then. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import type { IpChannel } from '../../controller/commands/ip-channel.ts';
import { CommandError, type Run } from '../../controller/commands/run.ts';
import { parseAddress } from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { UplinkTable } from '../../render/uplink.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { certain, nicOf, stateOf, veth } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
let isRefusing: boolean;
let isLost: boolean;

const refusing = (inside: IpChannel): IpChannel => ({
  ...inside,
  run: async (lines) => {
    if (isLost && lines.length > 0) throw new CommandError('ip: no answer');
    const refused = isRefusing ? lines.filter((line) => line.includes(' del ')) : [];
    const failures = await inside.run(lines.filter((line) => !refused.includes(line)));
    return [...failures, ...refused.map((line) => ({ line, message: 'RTNETLINK answers: Operation not permitted' }))];
  },
});

const refusingCommands =
  (inside: Run): Run =>
  async (command, args, options) => {
    const lines = options?.input?.trim().split('\n') ?? [];
    if (!isRefusing || command !== 'ip' || !lines.some((line) => line.includes(' del ')))
      return await inside(command, args, options);
    const stderr = lines.map(
      (_, index) => `RTNETLINK answers: Operation not permitted\nCommand failed -:${index + 1}\n`,
    );
    return { stdout: '', stderr: stderr.join(''), exitCode: 1 };
  };

const makeLink = async (name: string): Promise<void> => {
  await host.run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-peer`]);
  await host.run('ip', ['link', 'set', name, 'up']);
};

beforeEach(async () => {
  isRefusing = true;
  isLost = false;
  ({ host, applier } = await openApplier(refusingCommands, refusing));
  for (const name of ['veth1', 'uplink']) await makeLink(name);
});
afterEach(cleanUp);

const BARE: NicState = { ...nicOf(1, 80), routes: [], gateways: [], proxies: [] };
const { routes, gateways } = nicOf(1, 80);
const proxies = [{ address: certain(parseAddress('198.51.100.1')), dev: veth('uplink') }];

const held = async (): Promise<string> => {
  const listed = [['address'], ['route'], ['neigh', 'show', 'proxy']].map((words) => host.run('ip', words));
  return (await Promise.all(listed)).map(({ stdout }) => stdout).join('');
};

const KINDS = [
  ['a route', { routes }, /198\.51\.100\.1 dev veth1/],
  ['a gateway address', { gateways }, /169\.254\.0\.1\/32/],
  ['a neighbour proxy', { proxies }, /198\.51\.100\.1 dev uplink/],
] as const;

const isRight = (desired: DesiredState): Promise<boolean> =>
  applier.isRight(desired, {
    ...{ lxcProxies: () => [], areLinksKnown: () => true },
    ...{ turn: async () => undefined, idle: async () => undefined },
  });

const LEAVING = KINDS.flatMap(([kind, part, line]) => [
  [`${kind} of who stays`, part, line, stateOf(BARE)] as const,
  [`${kind} of who is gone`, part, line, stateOf()] as const,
]);

test.each(LEAVING)('%s', async (_, part, line, desired) => {
  await applier.resync(requestOf(stateOf({ ...BARE, ...part })));
  expect([applier.isRefused, line.test(await held())]).toEqual([false, true]);
  await applier.apply(requestOf(desired));
  // However often, and though a look that can't see it finds nothing to do.
  for (let round = 0; round < 3; round += 1) {
    expect([applier.isRefused, line.test(await held())]).toEqual([true, true]);
    expect((await applier.resync(requestOf(desired))).repaired).toEqual([]);
    await applier.proof.lookAhead({ folders: [], trees: [], paths: [] });
    expect(await isRight(desired)).toBe(false);
  }
  isRefusing = false;
  expect((await applier.resync(requestOf(desired))).repaired).toEqual([]);
  expect([applier.isRefused, line.test(await held())]).toEqual([false, false]);
  expect(await isRight(desired)).toBe(true);
});

test.each(KINDS)('%s that is wanted again stays', async (_, part, line) => {
  await applier.resync(requestOf(stateOf({ ...BARE, ...part })));
  await applier.apply(requestOf(stateOf(BARE)));
  await applier.apply(requestOf(stateOf({ ...BARE, ...part })));
  isRefusing = false;
  await applier.resync(requestOf(stateOf({ ...BARE, ...part })));
  expect([applier.isRefused, line.test(await held())]).toEqual([false, true]);
});

test.each(LEAVING)('%s, over which ip is lost again and again', async (_, part, line, desired) => {
  isRefusing = false;
  await applier.resync(requestOf(stateOf({ ...BARE, ...part })));
  isLost = true;
  await expect(applier.apply(requestOf(desired))).rejects.toThrow('no answer');
  for (let round = 0; round < 2; round += 1)
    await expect(applier.resync(requestOf(desired))).rejects.toThrow('no answer');
  isLost = false;
  await applier.resync(requestOf(desired));
  expect([applier.isRefused, line.test(await held())]).toEqual([false, false]);
});

const TABLES: readonly UplinkTable[] = [{ table: 11_905, dev: veth('uplink'), gateways: [], families: [4] }];
const withTables = (): DesiredState => ({ ...stateOf(), host: { ...stateOf().host, uplinkTables: TABLES } });
const holdsTables = async (): Promise<boolean[]> =>
  (await Promise.all([host.run('ip', ['rule']), host.run('ip', ['route', 'show', 'table', 'all'])])).map(({ stdout }) =>
    stdout.includes('11905'),
  );

test("an uplink's table and rules", async () => {
  await applier.resync(requestOf(withTables()));
  const desired = stateOf();
  await applier.apply(requestOf(desired));
  for (let round = 0; round < 3; round += 1) {
    expect([applier.isRefused, await holdsTables()]).toEqual([true, [true, true]]);
    expect((await applier.resync(requestOf(desired))).repaired).toEqual([]);
  }
  isRefusing = false;
  expect((await applier.resync(requestOf(desired))).repaired).toEqual([]);
  expect([applier.isRefused, await holdsTables()]).toEqual([false, [false, false]]);
});

test("an uplink's table and rules that are wanted again stay", async () => {
  await applier.resync(requestOf(withTables()));
  await applier.apply(requestOf(stateOf()));
  isRefusing = false;
  await applier.apply(requestOf(withTables()));
  expect([applier.isRefused, await holdsTables()]).toEqual([false, [true, true]]);
});

test('nothing is taken from a link that has the name by then', async () => {
  await applier.resync(requestOf(stateOf(nicOf(1, 80))));
  await applier.apply(requestOf(stateOf()));
  // Still takes each gateway there for one that a pass may have written to a link that was made anew.
  await applier.resync(requestOf(stateOf()));
  isRefusing = false;
  await host.run('ip', ['link', 'del', 'veth1']);
  await makeLink('veth1');
  await host.run('ip', ['address', 'add', '169.254.0.2/32', 'dev', 'veth1', 'scope', 'link']);
  await host.run('ip', ['route', 'add', '198.51.100.1/32', 'dev', 'veth1', 'metric', '4096']);
  const before = await held();
  await applier.resync(requestOf(stateOf()));
  expect([applier.isRefused, await held()]).toEqual([false, before]);
});
