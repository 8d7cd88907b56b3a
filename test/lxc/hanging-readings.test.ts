/** A reading of the host that hangs or fails holds up no container that starts meanwhile. */
import { afterEach, expect, test } from 'vitest';
import { readStatusFile } from '../../controller/status/status-file.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { makeTools, type Tools } from '../attack/tools.ts';
import { readOwnState } from './kernel-state.ts';
import { ASKS_MONITOR, LISTS_ADDRESSES, LISTS_ROUTES, misbehave } from './perl-programs.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

async function startWithTools(policy = OPEN): Promise<{
  tools: Tools;
  routewall: Routewall;
  start: (name: string, last: number) => Promise<Container>;
}> {
  const tools = await makeTools();
  const routewall = await startRoutewall({ config: 'resync: 86400\n', env: { PATH: tools.path } });
  const start = async (name: string, last: number): Promise<Container> => {
    const container = await routewall.addContainer(name, { lines: nic(addressesOf(last)), policy });
    await routewall.start(container);
    return container;
  };
  return { tools, routewall, start };
}

/** As a tool that is told to hang does. */
function isHanging({ daemon }: Routewall): boolean {
  const below = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...below(child)]);
  return below(daemon.child().pid).some((pid) => commandOf(pid) === 'sleep 100000');
}

test.each([
  ['nft lists nothing', (tools: Tools) => tools.setNft('hanging')],
  ['nft fails', (tools: Tools) => tools.setNft('failing')],
  [
    'no routes are listed',
    (tools: Tools, { daemon }: Routewall) => misbehave(tools, daemon, { words: LISTS_ROUTES, does: 'hang' }),
  ],
  [
    'listing routes fails',
    (tools: Tools, { daemon }: Routewall) => misbehave(tools, daemon, { words: LISTS_ROUTES, does: 'fail' }),
  ],
  ['ip fails to list proxies', (tools: Tools) => tools.setIp({ words: '*neigh*show*proxy*', does: 'fail' })],
] as const)('enforces who starts while %s, and mends what others changed once it does', async (_, begin) => {
  const { tools, routewall, start } = await startWithTools();
  const { host } = routewall.bed;
  const edit = () => host.run('nft', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']);
  const edited = async (): Promise<boolean> =>
    (await host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from'])).stdout.includes('counter packets');
  await start('zero', 19);
  await begin(tools, routewall);
  const mark = routewall.mark();
  const aside = /the comparison with the kernel: .*; again in/;
  await edit();
  // Of one that begins behind the start, nobody would have to wait for the end.
  const isBegun = () =>
    isHanging(routewall) ||
    routewall.daemon
      .log()
      .slice(mark)
      .some((line) => aside.test(line));
  await eventually('it is compared', isBegun);
  await start('one', 20);
  await routewall.daemon.child().waitForLine(aside, { after: mark });
  await start('two', 21);
  // The command itself would wait for the same nft.
  const isTold = async (): Promise<boolean> => {
    const { unread = [] } = (await readStatusFile(routewall.env['RUNTIME_DIRECTORY'] ?? '')) ?? {};
    return unread.some(({ what }) => what === 'the comparison with the kernel');
  };
  await eventually('the status tells', isTold);
  await edit();
  await start('three', 22);
  await tools.setNft('real');
  await tools.setIp();
  await tools.setPerl();
  await eventually('what was inserted is gone', async () => !(await edited()), 60_000);
  await eventually('the status tells of nothing', async () => !(await isTold()));
});

test.each([
  ['nothing is compared', []],
  ['a comparison hangs already', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']],
] as const)('puts back what somebody flushed while nft lists nothing and %s', async (_, edit) => {
  const { tools, routewall, start } = await startWithTools('egress: { rules: [{ allow: tcp/80, to: any }] }\n');
  const { host, outside } = routewall.bed;
  const inside = await (await start('one', 20)).inside();
  await listen(outside, { protocol: 'tcp', port: 80 }, { protocol: 'tcp', port: 81 });
  const ask = (port: number) => probe(inside, { protocol: 'tcp', to: '203.0.113.80', port });
  expect(await ask(80)).toBe('allowed');
  const { tables } = await readOwnState(host);
  await tools.setNft('hanging');
  if (edit.length > 0) {
    await host.run('nft', edit);
    await eventually('it hangs', async () => isHanging(routewall));
  }
  await host.run('nft', ['flush', 'ruleset']);
  const isBack = async () => JSON.stringify((await readOwnState(host)).tables) === JSON.stringify(tables);
  await eventually('the rules are as they were', isBack);
  expect(await ask(80)).toBe('allowed');
  expect(await ask(81)).not.toBe('allowed');
});

test.each(['hang', 'fail'] as const)(
  'enforces who starts while the list of addresses does nothing but %s, and knows them once it does not',
  async (does) => {
    const { tools, routewall, start } = await startWithTools();
    const { host } = routewall.bed;
    const isProxied = async (last: number): Promise<boolean> =>
      (await host.run('ip', ['neigh', 'show', 'proxy'])).stdout.includes(`${addressesOf(last)[0]} `);
    // Of one link, and of all.
    await tools.setIp({ words: '*address*show*', does });
    await misbehave(tools, routewall.daemon, { words: LISTS_ADDRESSES, does });
    const mark = routewall.mark();
    await host.run('ip', ['address', 'add', '198.51.100.1/24', 'dev', 'eth0']);
    await start('one', 20);
    await routewall.daemon.child().waitForLine(/the host's links and routes: .*; again in/, { after: mark });
    await start('two', 21);
    expect(await isProxied(21)).toBe(false);
    await tools.setIp();
    await tools.setPerl();
    await eventually('neighbours find both', async () => (await isProxied(20)) && (await isProxied(21)), 60_000);
  },
);

test('mends what others changed within a bound while a container sets its link down and up without end', async () => {
  const { tools, routewall, start } = await startWithTools();
  const { host } = routewall.bed;
  const edited = async (): Promise<boolean> =>
    (await host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from'])).stdout.includes('counter packets');
  await start('quiet', 19);
  const mallory = await routewall.addContainer('mallory', { lines: nic(addressesOf(20)), policy: OPEN });
  await routewall.start(mallory);
  const flap = 'while :; do ip link set eth0 down; ip link set eth0 up; echo up; sleep 0.02; done';
  const flapping = (await mallory.inside()).spawn('sh', ['-c', flap]);
  await tools.setNft('slower');
  const mark = routewall.mark();
  await host.run('nft', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']);
  // Its flaps do count as those of one who waits: without that, nothing would be shown here.
  await routewall.daemon
    .child()
    .waitForLine(/a container waits, and it is put aside/, { after: mark, timeout: 30_000 });
  await eventually('what was inserted is gone', async () => !(await edited()), 120_000);
  const flaps = flapping.lines.length;
  await eventually('it goes on', () => flapping.lines.length > flaps + 5);
  await flapping.stop();
});

test.each(['kill', 'fail'] as const)('serves the others while what asks about one can only %s', async (does) => {
  const { tools, routewall, start } = await startWithTools();
  await misbehave(tools, routewall.daemon, { words: `${ASKS_MONITOR}/one/command*`, does });
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  const mark = routewall.mark();
  await one.start();
  await routewall.daemon.child().waitForLine(/which veths containers have: .*; again in/, { after: mark });
  await start('two', 21);
  await start('three', 22);
  const mended = routewall.mark();
  await tools.setPerl();
  await routewall.daemon.child().waitForLine(/one \S+ via .*: enforced in/, { after: mended });
});

test.each(['kill', 'shutdown'] as const)(
  'knows that one has stopped (%s) while nothing can ask about it',
  async (how) => {
    const { tools, routewall, start } = await startWithTools();
    const one = await start('one', 20);
    await misbehave(tools, routewall.daemon, { words: ASKS_MONITOR, does: 'fail' });
    await routewall.stop(one, how);
    const states = async (): Promise<string[]> => {
      const { containers = [] } = (await readStatusFile(routewall.env['RUNTIME_DIRECTORY'] ?? '')) ?? {};
      return containers.map(({ state }) => state);
    };
    await eventually('it is known', async () => `${await states()}` === 'STOPPED');
  },
);

test('the status says what the daemon says, and that it knows no more, while nft hangs', async () => {
  const { tools, routewall, start } = await startWithTools();
  await start('one', 20);
  // The file that it leaves is a little behind.
  const IS_TOLD =
    /^running as process .*\n(?:.*\n)+one +running +one\.yaml(?:.*\n)+the kernel holds what the files say$/;
  await eventually('all is well', async () => IS_TOLD.test((await routewall.cli('status')).stdout.trim()));
  await tools.setNft('hanging');
  const { stdout, exitCode } = await routewall.cli('status');
  expect(stdout).toMatch(/^running as process .*\n(?:.*\n)+one +running +one\.yaml/);
  expect(stdout).toMatch(/\nnot compared with the kernel: nft: no answer within \d+ s$/);
  expect(exitCode).toBe(1);
});

test.each([
  ['of what seals', 'hanging'],
  ['of the rules', 'hangingRules'],
] as const)('a panic ends connections while the comparison %s with the kernel hangs', async (_, mode) => {
  const { tools, routewall, start } = await startWithTools();
  const { host } = routewall.bed;
  const one = await (await start('one', 20)).inside();
  const tracked = async (): Promise<boolean> =>
    (await host.run('conntrack', ['-L', '-s', addressesOf(20)[0]])).stdout.includes('203.0.113.80');
  // One that it begins before the look for those of others has ended is ended with them.
  await eventually('a connection', async () => {
    await one.run('ping', ['-c', '1', '203.0.113.80']);
    return await tracked();
  });
  await tools.setNft(mode);
  await host.run('nft', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']);
  await eventually('it hangs', async () => isHanging(routewall));
  expect((await routewall.cli('panic', 'on', '-n', 'one')).exitCode).toBe(0);
  await eventually('the connection is over', async () => !(await tracked()));
});

test.each([
  ['tc lists nothing', '*qdisc*show*'],
  ['tc writes nothing', '-force*'],
])(
  'enforces who starts while %s, tells whose limits are not in force, and sets them once it does',
  async (_, words) => {
    const { tools, routewall, start } = await startWithTools(`${OPEN}limits: { egress: 20Mbit }\n`);
    const { host } = routewall.bed;
    const limited = async (): Promise<number> =>
      (await host.run('tc', ['qdisc', 'show'])).stdout.match(/^qdisc tbf /gm)?.length ?? 0;
    await start('zero', 19);
    await eventually('it is limited', async () => (await limited()) === 1);
    await tools.setTc({ words, does: 'hang' });
    const mark = routewall.mark();
    await start('one', 20);
    await routewall.daemon.child().waitForLine(/what tc holds: .*; again in/, { after: mark });
    await start('two', 21);
    await eventually('it is told', async () =>
      /one\.yaml.*tc gives no answer/.test((await routewall.cli('status')).stdout),
    );
    expect(await limited()).toBe(1);
    await tools.setTc();
    await eventually('all are limited', async () => (await limited()) === 3, 60_000);
  },
);
