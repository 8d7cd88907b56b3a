/** The daemon ends, is killed, and comes back: the kernel's state waits for it, follows what happened, and has no gap. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { withoutFilled } from '../../sandbox/nft-listing.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { makeTools } from '../attack/tools.ts';
import { startFlood } from './forbidden-flood.ts';
import {
  containerState,
  type Expected,
  expectedState,
  type OwnState,
  ownStateBy,
  readForeign,
  readOwnState,
} from './kernel-state.ts';
import { ASKS_MONITOR } from './perl-programs.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const POLICY = 'egress: { rules: [{ allow: tcp/80, to: any }] }\n';

const add = (routewall: Routewall, name: string, last: number, policy = POLICY): Promise<Container> =>
  routewall.addContainer(name, { lines: nic(addressesOf(last)), policy });

const expectedOf = async (container: Container, last: number): Promise<Expected> => ({
  veth: await container.hostVeth(),
  addresses: addressesOf(last),
});

async function holdsExactly({ bed, daemon }: Routewall, running: readonly Expected[]): Promise<void> {
  const wanted = expectedState(running);
  const found = await ownStateBy(bed.host, (state) => isDeepStrictEqual(containerState(state), wanted));
  expect(containerState(found), daemon.log().slice(-20).join('\n')).toEqual(wanted);
}

/** Beats all the time; answers how many were not heard. */
function keepBeating(flow: Flow): () => Promise<{ beats: number; lost: number }> {
  let stopped = false;
  const counts = { beats: 0, lost: 0 };
  const run = async (): Promise<void> => {
    while (!stopped) {
      // No packet is repeated within that time, so a lost one is seen.
      if ((await flow.beat(190)) !== 'alive') counts.lost += 1;
      counts.beats += 1;
      await sleep(5);
    }
  };
  const running = run();
  return async () => {
    stopped = true;
    await running;
    return counts;
  };
}

const ready = ({ daemon }: Routewall): string => daemon.child().lines.find((line) => line.includes(' ready: ')) ?? '';

/** A container with traffic; the answer of `begin` ends it, and expects that nothing was lost or leaked meanwhile. */
async function startTraffic() {
  const routewall = await startRoutewall();
  const { bed } = routewall;
  const web = await add(routewall, 'web', 10);
  await routewall.start(web);
  await listen(bed.outside, { protocol: 'tcp', port: 80 });
  const inside = await web.inside();
  const flow = await openFlow(inside, { protocol: 'tcp', to: '203.0.113.80', port: 80, timeout: 3_000 });
  const begin = async () => {
    const flood = await startFlood(inside, {
      to: ['203.0.113.80', '2001:db8:ffff::80'],
      port: 9_999,
      exit: { place: bed.host, device: 'eth0' },
    });
    const stopBeating = keepBeating(flow);
    return async (leastBeats: number): Promise<void> => {
      const { beats, lost } = await stopBeating();
      expect(beats).toBeGreaterThan(leastBeats);
      expect(lost).toBe(0);
      expect(flood.leaked()).toEqual([]);
    };
  };
  return { ...routewall, begin };
}

test('an allowed flow goes on and a forbidden one stays shut through ends, kills and restarts', async () => {
  const routewall = await startTraffic();
  const { bed, daemon, begin } = routewall;
  const endWell = await begin();
  const good = await readOwnState(bed.host);
  await daemon.stop('SIGTERM');
  expect(daemon.log().at(-1)).toMatch(/SIGTERM: stopped; the rules stay in force/);
  expect(await readOwnState(bed.host)).toEqual(good);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await daemon.restart(signal);
    expect(ready(routewall)).toMatch(/ready: 1 interfaces enforced, 0 changes written/);
  }
  for (let round = 0; round < 3; round += 1) daemon.child().signal('SIGHUP');
  await daemon.waitForLog(/reading everything again/);
  await sleep(500);
  expect(await readOwnState(bed.host)).toEqual(good);
  await endWell(20);
});

test('sets that another release declared otherwise are replaced without a gap', async () => {
  const { bed, daemon, begin } = await startTraffic();
  const good = await readOwnState(bed.host);
  const list = async (family: string): Promise<string> =>
    withoutFilled((await bed.host.run('nft', ['-s', 'list', 'table', family, 'routewall'])).stdout);
  await daemon.stop();
  const older: string[] = [];
  for (const family of ['inet', 'arp'])
    older.push(
      `delete table ${family} routewall`,
      (await list(family)).replace(/(set owned\S* \{\n\t\ttypeof .*\n)/g, '$1\t\tcounter\n'),
    );
  await bed.host.run('nft', ['-f', '-'], { input: older.join('\n') });
  const isOlder = async (): Promise<boolean> => /set owned\S* \{\n.*\n\t\tcounter/.test(await list('inet'));
  expect(await isOlder()).toBe(true);
  const endWell = await begin();
  await daemon.restart();
  await eventually('they are as this release has them', async () => !(await isOlder()));
  expect(await readOwnState(bed.host)).toEqual(good);
  await endWell(5);
});

test('a daemon that begins takes nothing from who runs, though LXC is slow to say so', async () => {
  const tools = await makeTools();
  const routewall = await startRoutewall({ env: { PATH: tools.path } });
  await routewall.start(await add(routewall, 'web', 10));
  const good = await readOwnState(routewall.bed.host);
  await tools.setPerl({ words: ASKS_MONITOR, does: 'wait' });
  await routewall.daemon.restart('SIGKILL');
  expect(ready(routewall)).toMatch(/ready: 1 interfaces enforced, 0 changes written/);
  expect(await readOwnState(routewall.bed.host)).toEqual(good);
});

test('a restart with nothing changed writes nothing to the kernel', async () => {
  const routewall = await startRoutewall();
  const { bed, daemon } = routewall;
  for (const [name, last] of [
    ['web', 10],
    ['db', 11],
  ] as const)
    await routewall.start(await add(routewall, name, last));
  // The kernel tells of a link-local address once more when nobody objected to it.
  await eventually('all addresses are settled', async () => {
    const { stdout } = await bed.host.run('ip', ['-6', 'address', 'show', 'tentative']);
    return stdout.trim() === '';
  });
  const before = { own: await readOwnState(bed.host), foreign: await readForeign(bed.host) };
  const monitors: Child[] = [
    bed.host.spawn('nft', ['monitor']),
    bed.host.spawn('ip', ['monitor', 'link', 'address', 'route', 'netconf']),
  ];
  // A monitor takes its time until it hears anything: said again until both do.
  await bed.host.run('nft', ['add', 'table', 'ip', 'somebody']);
  await eventually('both listen', async () => {
    await bed.host.run('nft', ['delete table ip somebody; add table ip somebody']);
    await bed.host.run('ip', ['address', 'replace', '192.0.2.77/32', 'dev', 'lo']);
    await bed.host.run('ip', ['address', 'del', '192.0.2.77/32', 'dev', 'lo']);
    return monitors.every(({ lines }) => lines.some((line) => /somebody|192[.]0[.]2[.]77/.test(line)));
  });
  await bed.host.run('ip', ['address', 'add', '192.0.2.77/32', 'dev', 'lo']);
  await bed.host.run('ip', ['address', 'del', '192.0.2.77/32', 'dev', 'lo']);
  await monitors[1]?.waitForLine(/Deleted local 192[.]0[.]2[.]77/);
  await sleep(300);
  const said = monitors.map((monitor) => monitor.lines.length);
  await daemon.restart();
  await daemon.restart('SIGKILL');
  await routewall.cli('daemon', '--once');
  await sleep(300);
  expect(monitors.map((monitor, at) => monitor.lines.slice(said[at]))).toEqual([[], []]);
  await bed.host.run('nft', ['delete', 'table', 'ip', 'somebody']);
  expect({ own: await readOwnState(bed.host), foreign: await readForeign(bed.host) }).toEqual(before);
});

test('what came, went, rebooted and changed while it was away is in force afterwards, and nothing else', async () => {
  const routewall = await startRoutewall();
  const { bed, daemon } = routewall;
  const [stays, goes, reboots, comes] = [
    await add(routewall, 'stays', 10),
    await add(routewall, 'goes', 11),
    await add(routewall, 'reboots', 12),
    await add(routewall, 'comes', 13),
  ];
  await listen(bed.outside, { protocol: 'tcp', port: 80 }, { protocol: 'tcp', port: 81 });
  for (const container of [stays, goes, reboots]) await routewall.start(container);
  const held = await openFlow(await goes.inside(), { protocol: 'tcp', to: '192.0.2.2', port: 80, timeout: 3_000 });
  expect(await held.beat()).toBe('alive');
  await daemon.stop('SIGKILL');
  await goes.stop('kill');
  await reboots.reboot();
  await comes.start();
  await routewall.writePolicy('containers/stays.yaml', POLICY.replace('tcp/80', 'tcp/81'));
  // What starts now is shut until somebody knows it.
  expect(await probe(await comes.inside(), { protocol: 'tcp', to: '192.0.2.2', port: 80 })).not.toBe('allowed');
  await daemon.restart();
  await holdsExactly(routewall, [
    await expectedOf(stays, 10),
    await expectedOf(reboots, 12),
    await expectedOf(comes, 13),
  ]);
  const tcp = (port: number) => ({ protocol: 'tcp' as const, to: '192.0.2.2', port, timeout: 1_500 });
  // Who asked for his gateway in vain before may be refused once more, without a packet that leaves him.
  for (const container of [comes, reboots]) {
    const inside = await container.inside();
    await eventually('it is served', async () => (await probe(inside, tcp(80))) === 'allowed');
  }
  expect(await probe(await stays.inside(), tcp(81))).toBe('allowed');
  expect(await probe(await stays.inside(), tcp(80))).toBe('dropped');
  await eventually('no connections of what went', async () => {
    const { stdout } = await bed.host.run('conntrack', ['-L', '-s', '198.51.100.11']);
    return stdout.trim() === '';
  });
});

test('SIGHUP reads everything again, and a broken main configuration changes nothing', async () => {
  const routewall = await startRoutewall({ config: 'uplinks: [eth0]\n' });
  const { bed, daemon, configFile } = routewall;
  const web = await add(routewall, 'web', 10);
  await routewall.start(web);
  const open = await routewall.addContainer('open', { lines: nic(addressesOf(11)) });
  await routewall.start(open);
  await listen(bed.outside, { protocol: 'tcp', port: 82 });
  const good = await readOwnState(bed.host);
  for (const broken of ['uplinks: [eth0\n', 'nonsense: 1\n', 'guard: ["a/b"]\n', '\u0000']) {
    const after = routewall.mark();
    await writeFile(configFile, broken);
    await daemon.child().waitForLine(/routewall\.yaml:\d+:\d+: error: /, { after });
    daemon.child().signal('SIGHUP');
    await daemon.child().waitForLine(/reading everything again/, { after });
    await sleep(200);
    expect(await readOwnState(bed.host), broken).toEqual(good);
    await routewall.statusTells(/routewall\.yaml:\d+:\d+: error: /);
    expect((await routewall.cli('status')).exitCode).toBe(1);
  }
  const gone = routewall.mark();
  await bed.host.run('rm', [configFile]);
  await daemon.child().waitForLine(/routewall\.yaml:1:1: error: .*there is no such file/, { after: gone });
  expect(await readOwnState(bed.host)).toEqual(good);
  const mended = routewall.mark();
  await writeFile(configFile, 'uplinks: [eth0]\nwithoutPolicy: open\nguard: ["veth*", "tap*"]\n');
  await daemon.child().waitForLine(/no longer: .*there is no such file/, { after: mended });
  await eventually('nothing is wrong', async () => (await routewall.cli('status')).exitCode === 0);
  const target = { protocol: 'tcp' as const, to: '192.0.2.2', port: 82 };
  const inside = await open.inside();
  await eventually('open without a policy', async () => (await probe(inside, target)) === 'allowed');
  expect((await readOwnState(bed.host)).tables['inet chain forward_from']?.join()).toContain('tap*');
  await writeFile(configFile, 'uplinks: [eth0]\n');
  await eventually('as before', async () => JSON.stringify(await readOwnState(bed.host)) === JSON.stringify(good));
  await holdsExactly(routewall, [await expectedOf(web, 10), await expectedOf(open, 11)]);
});

test('a daemon that cannot begin ends, so that it can be started anew', async () => {
  const routewall = await startRoutewall();
  await routewall.daemon.stop('SIGKILL');
  const tools = await makeTools();
  await rm(join(tools.path, 'unshare'));
  const [program, ...words] = routewall.command(['daemon']);
  const env = { ...routewall.env, PATH: tools.path };
  const { exitCode, stderr } = await routewall.bed.host.runForResult(program, words, { env });
  expect([exitCode, stderr]).toEqual([3, expect.stringContaining('unshare')]);
});

test('a second daemon for the same host refuses to start and names the first; two hosts are no second', async () => {
  const [one, two] = [await startRoutewall(), await startRoutewall()];
  for (const routewall of [one, two]) {
    const pid = routewall.daemon.child().pid;
    for (const words of [['daemon'], ['daemon', '--once']]) {
      const { exitCode, stderr } = await routewall.cli(...words);
      expect(exitCode).not.toBe(0);
      expect(stderr).toMatch(new RegExp(`another routewall daemon .*process ${pid}\\b`));
    }
  }
  await one.start(await add(one, 'web', 10));
  const other = await add(two, 'web', 20);
  await two.start(other);
  await holdsExactly(two, [await expectedOf(other, 20)]);
  await one.daemon.stop('SIGKILL');
  const before: OwnState = await readOwnState(one.bed.host);
  const { exitCode, stderr } = await one.cli('daemon', '--once');
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining(' ready: 1 interfaces enforced, 0 changes')]);
  expect(await readOwnState(one.bed.host)).toEqual(before);
  const state = one.env['STATE_DIRECTORY'] ?? '';
  expect(await readFile(join(state, 'last-good/web.json'), 'utf8')).toContain('tcp/80');
});
