/** Answers that the daemon needn't read anything for, asked for the instant after somebody changed what they tell of. */
import { chmod, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { startBus, type TestBus } from './system-bus.ts';

const VETH = 'cvethweb';
const POLICY = 'egress: { rules: [{ allow: tcp/80, to: any }] }\n';

let bus: TestBus;
let routewall: Routewall;
let calls: string;

/** Each nft that the daemon starts is noted first. */
async function noteCalls(): Promise<string> {
  const folder = await makeFolder();
  calls = join(folder, 'calls');
  await writeFile(calls, '');
  await writeFile(
    join(folder, 'nft'),
    `#!/bin/sh\necho "$*" >> ${calls}\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec nft "$@"\n`,
  );
  await chmod(join(folder, 'nft'), 0o755);
  return folder;
}

const countListings = async (): Promise<number> => (await readFile(calls, 'utf8')).split('-s list table').length - 1;

interface Preview {
  readonly changed: boolean;
  readonly ruleset: string;
  readonly [part: string]: unknown;
}

const preview = async (): Promise<Preview> => JSON.parse(await bus.call('Preview', 'as', '0'));

/** What was put right lately is looked at once more; and nothing was listed to find that nothing would change. */
async function untilUnlisted(): Promise<void> {
  await untilNoPass();
  await eventually(
    'a preview lists nothing',
    async () => {
      const before = await countListings();
      const { changed } = await preview();
      return !changed && (await countListings()) === before;
    },
    60_000,
  );
}

beforeAll(async () => {
  bus = await startBus();
  const folder = await noteCalls();
  routewall = await startRoutewall({
    // Nothing is put right or proven by the way.
    config: 'resync: 86400\n',
    env: { ...bus.env, PATH: `${folder}:${process.env['PATH']}` },
  });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  const lines = nic([...addressesOf(10), '192.0.2.10'], { extra: [`veth.pair = ${VETH}`] });
  await routewall.start(await routewall.addContainer('web', { policy: POLICY, lines }));
});
afterAll(cleanUp);

/** The daemon hears nothing of it before the answer, and puts nothing back. */
async function withDeafDaemon(work: () => Promise<void>): Promise<void> {
  const { pid } = routewall.daemon.child();
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number);
  const monitors: number[] = [];
  for (const child of children) {
    const command = (await readFile(`/proc/${child}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    if (/\bmonitor\b|watches neighbour proxies/.test(command)) monitors.push(child);
  }
  expect(monitors.length).toBeGreaterThanOrEqual(3);
  for (const monitor of monitors) process.kill(monitor, 'SIGSTOP');
  try {
    await work();
  } finally {
    for (const monitor of monitors) process.kill(monitor, 'SIGCONT');
  }
}

const DRIFT: readonly (readonly [change: string, expected: object])[] = [
  [
    'nft add rule inet routewall forward_from counter comment drifted',
    { changed: true, ruleset: expect.stringContaining('drifted') },
  ],
  [
    `nft delete element inet routewall veths { "${VETH}" }`,
    { changed: true, ruleset: expect.stringMatching(new RegExp(`\\+.*"${VETH}"`)) },
  ],
  ['nft delete table arp routewall', { changed: true, ruleset: expect.stringContaining('+table arp routewall') }],
  [
    `ip route del ${addressesOf(10)[0]} dev ${VETH}`,
    { changed: true, routes: { add: [expect.stringContaining(addressesOf(10)[0])], remove: [] } },
  ],
  [
    `ip -6 route add 2001:db8:77::/64 dev ${VETH} proto 119`,
    { changed: true, routes: { add: [], remove: [expect.stringContaining('2001:db8:77::/64')] } },
  ],
  [
    'ip neighbour del proxy 192.0.2.10 dev eth0',
    { changed: true, neighbourProxies: { add: ['192.0.2.10 dev eth0'], remove: [] } },
  ],
  [
    `ip address del 169.254.0.1/32 dev ${VETH}`,
    { changed: true, gateways: { add: [`169.254.0.1 dev ${VETH}`], remove: [] } },
  ],
];

test('a status lists nothing either, while nothing changes', async () => {
  await untilUnlisted();
  // The kernel itself changes addresses soon after a start, when it has found no duplicates of them.
  await eventually(
    'a status lists nothing',
    async () => {
      const before = await countListings();
      const { stdout, exitCode } = await routewall.cli('status');
      expect(stdout).toMatch(/\nthe kernel holds what the files say$/);
      expect(exitCode).toBe(0);
      return (await countListings()) === before;
    },
    60_000,
  );
});

test.each(DRIFT)('a preview and the status see what was changed the instant before: %s', async (change, expected) => {
  await untilUnlisted();
  await withDeafDaemon(async () => {
    await routewall.bed.host.run('sh', ['-c', change]);
    expect(await preview()).toMatchObject(expected);
    const { stdout, exitCode } = await routewall.cli('status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ running: true, backend: 'nftables', difference: expected });
    expect(exitCode).toBe(1);
  });
  // Of a route too many no monitor tells.
  await routewall.bed.host.run('sh', ['-c', 'ip -6 route flush proto 119 exact 2001:db8:77::/64']);
});

const statusFile = (): string => join(routewall.env['RUNTIME_DIRECTORY'] ?? '', 'status.json');

async function verdictOf(service: string): Promise<string> {
  const said = await bus.call('Explain', 'sssus', 'container:web', '203.0.113.80', service, '0', '');
  return JSON.parse(said).answers[0].verdict;
}

/** Each pass writes the status file. */
async function untilNoPass(): Promise<void> {
  await eventually(
    'a question is no pass',
    async () => {
      const { mtimeMs } = await stat(statusFile());
      await verdictOf('tcp/80');
      await sleep(1_000);
      return (await stat(statusFile())).mtimeMs === mtimeMs;
    },
    60_000,
  );
}

test('an answer is by the file that was saved the instant before, whatever time it bears', async () => {
  const file = join(routewall.policyFolder, 'containers/web.yaml');
  for (const port of [81, 82]) {
    await untilNoPass();
    const { atime, mtime } = await stat(file);
    // As long as before.
    await writeFile(file, POLICY.replace('80', String(port)));
    await utimes(file, atime, mtime);
    expect(await verdictOf(`tcp/${port}`)).toBe('allow');
    expect(await verdictOf('tcp/80')).not.toBe('allow');
  }
});

test('it is by what runs, where nothing else changed', async () => {
  const two = await routewall.addContainer('two', { policy: POLICY, lines: nic(addressesOf(20)) });
  for (let round = 0; round < 2; round++) {
    await untilNoPass();
    await withDeafDaemon(async () => {
      await two.start();
      expect(await stateOf('two')).toBe('RUNNING');
      await two.stop('kill');
      expect(await stateOf('two')).toBe('STOPPED');
    });
  }
});

async function stateOf(name: string): Promise<string> {
  const list: readonly { readonly container: string; readonly state: string }[] = JSON.parse(await bus.call('List'));
  return list.find(({ container }) => container === name)?.state ?? 'unknown';
}
