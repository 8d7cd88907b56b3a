/**
 * A kernel that gives no more watches (user.max_inotify_watches): said in the status, made up for by looking again, and
 * nothing is open meanwhile. In a user namespace, which has limits of its own.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { type Daemon, startDaemon } from '../../sandbox/daemon.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createPlace, type Place } from '../../sandbox/place.ts';
import { NODE, PROGRAM } from '../../sandbox/routewall.ts';
import { makeClock } from '../attack/clock.ts';
import { addressesOf, nic } from '../lxc/routewall.ts';

const PATIENCE = 20_000;
const NO_RESYNC = 'resync: 86400\n';

let host: Place;
let folder: string;
let env: Readonly<Record<string, string>>;
const words = (command: string): [string, ...string[]] => [
  ...([NODE, PROGRAM, command, '--config', join(folder, 'routewall.yaml')] as const),
  ...['--policies', join(folder, 'policies'), '-P', join(folder, 'lxc')],
];

beforeEach(async () => {
  const holder = startChild('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', 'echo in; exec sleep 1000']);
  await holder.waitForLine(/in/);
  host = createPlace('user', ['nsenter', '-t', String(holder.pid), '-U', '-n', '--preserve-credentials', '--']);
  folder = await makeFolder();
  env = { RUNTIME_DIRECTORY: join(folder, 'run'), STATE_DIRECTORY: join(folder, 'state') };
  for (const made of ['run', 'state', 'lxc', 'policies/containers'])
    await mkdir(join(folder, made), { recursive: true });
  await addStandIn('a', 20);
});
afterEach(cleanUp);

const watches = (count: number) => host.run('sysctl', ['-q', '-w', `user.max_inotify_watches=${count}`]);

/** To routewall, a container that runs. */
async function addStandIn(name: string, last: number): Promise<void> {
  await host.run('ip', ['link', 'add', `cveth-${name}`, 'type', 'veth', 'peer', 'name', `peer-${name}`]);
  await host.run('ip', ['link', 'set', `cveth-${name}`, 'up']);
  await mkdir(join(folder, 'lxc', name));
  const lines = nic(addressesOf(last), { extra: [`veth.pair = cveth-${name}`] });
  await writeFile(join(folder, 'lxc', name, 'config'), `${lines.join('\n')}\n`);
}

/** Tries again after a fifth of a second where it would after ten. */
async function start(config: string): Promise<Daemon> {
  await writeFile(join(folder, 'routewall.yaml'), config);
  const clock = await makeClock();
  await clock.impatient();
  return await startDaemon({ host, command: words('daemon'), ready: / ready: /, env: { ...env, ...clock.env } });
}

const allow = (port: number) =>
  writeFile(join(folder, 'policies/containers/a.yaml'), `ingress: { rules: [{ allow: tcp/${port}, from: any }] }\n`);
const list = async (...what: string[]): Promise<string> =>
  (await host.run('nft', ['list', ...what, 'inet', 'routewall'])).stdout;
const comesIntoForce = (port: number) =>
  eventually(`port ${port}`, async () => (await list('table')).includes(`dport ${port} `), PATIENCE);

async function failedWatchers(): Promise<string[]> {
  const [program, ...args] = words('status');
  const { stdout, exitCode } = await host.runForResult(program, args, { env });
  const failed = [...stdout.matchAll(/^(\S+): failed$/gm)].flatMap(([, source]) => source ?? []);
  expect(exitCode === 0).toBe(failed.length === 0);
  return failed;
}

test('a start without any watch enforces what there is, follows the files by looking, and says what it lacks', async () => {
  await watches(0);
  await allow(81);
  const daemon = await start(NO_RESYNC);
  await comesIntoForce(81);
  await eventually('both are told', async () => (await failedWatchers()).length === 2, PATIENCE);
  await allow(82);
  await comesIntoForce(82);
  await watches(10_000);
  for (const source of ['policy-files', 'lxc-config'])
    await daemon.waitForLog(new RegExp(`${source}: watching again`), PATIENCE);
  await eventually('nothing is wrong any more', async () => (await failedWatchers()).length === 0, PATIENCE);
  await allow(83);
  await comesIntoForce(83);
});

test('one whose watches run out keeps what it has, and claims who is new', async () => {
  const daemon = await start(NO_RESYNC);
  await allow(81);
  await comesIntoForce(81);
  await watches(0);
  await addStandIn('b', 21);
  await daemon.waitForLog(/lxc-config: .*\/b.*: can't be watched: ENOSPC/, PATIENCE);
  await eventually('b is claimed', async () => (await list('table')).includes('"cveth-b"'), PATIENCE);
  await allow(82);
  await comesIntoForce(82);
  // The status file is written behind the passes.
  await eventually('it is told alone', async () => (await failedWatchers()).join() === 'lxc-config', PATIENCE);
  await watches(10_000);
  await daemon.waitForLog(/lxc-config: watching again/, PATIENCE);
});

test('who comes while not even the folder of containers is watched is claimed by the next resync', async () => {
  await watches(0);
  await start('resync: 2\n');
  await addStandIn('b', 21);
  await eventually('b is claimed', async () => (await list('table')).includes('"cveth-b"'), PATIENCE);
});
