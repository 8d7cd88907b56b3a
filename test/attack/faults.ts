/** What may happen to a host, one small fault each; those that cost packets by their nature say so to the traffic. */
import { appendFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../sandbox/eventually.ts';
import { run } from '../../sandbox/run.ts';
import { isAlive, kill } from '../../sandbox/sweep.ts';
import { readOwnState } from '../lxc/kernel-state.ts';
import { childrenOf, commandOf } from './processes.ts';
import { NFT_MODES } from './tools.ts';
import { DEFAULT_ROUTES, SOMEBODYS, STEADY, type World } from './world.ts';

type Dice = (below: number) => number;
type Fault = (world: World, dice: Dice) => Promise<unknown>;

function pick<T>(dice: Dice, list: readonly T[]): T {
  const [chosen] = list.slice(dice(list.length)).map((value) => ({ value }));
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen.value;
}

/** None of them allows what the floods send. */
const POLICIES: readonly (string | undefined)[] = [
  'egress: { rules: [{ allow: tcp/80, to: any }] }\n',
  'egress: { default: reject, rules: [{ allow: tcp/81, to: "container:steady" }] }\ningress: { default: reject, log: true }\n',
  'use: [base]\negress: { log: true }\n',
  'ingress: { rules: [{ allow: [ssh, https], from: [lan, "container:a"], limit: 9/second }] }\n',
  'mode: observe-ingress\nuntil: 2100-01-01T00:00:00Z\n',
  'egress: [\n',
  'egress: { rules: [{ allow: any, to: "container:nobody" }] }\n',
  '\0\0\0\0',
  undefined,
];
const PROFILES = [
  'egress: { rules: [{ allow: dns, to: host }] }\n',
  'ingress: {}\n',
  'egress: 1\n',
  undefined,
] as const;
const namesOf = ({ standIns, real }: World): string[] => [...standIns.names, ...real.keys()];

async function write({ routewall: { policyFolder } }: World, path: string, text: string | undefined): Promise<void> {
  if (text === undefined) await rm(join(policyFolder, path), { force: true });
  else await writeFile(join(policyFolder, path), text);
}

const edit: Fault = (world, dice) =>
  write(world, `containers/${pick(dice, namesOf(world))}.yaml`, pick(dice, POLICIES));

const start: Fault = ({ standIns }, dice) => standIns.start([pick(dice, standIns.names)]);

const stop: Fault = ({ standIns }, dice) => standIns.stop([pick(dice, standIns.names)]);

const startReal: Fault = async ({ real, realRunning }, dice) => {
  const one = pick(dice, [...real.values()]);
  if (realRunning.has(one.name)) return;
  await one.start();
  realRunning.add(one.name);
};

const stopReal: Fault = async ({ real, realRunning }, dice) => {
  const one = pick(dice, [...real.values()]);
  if (realRunning.delete(one.name)) await one.stop(pick(dice, ['kill', 'shutdown'] as const));
};

const reboot: Fault = async ({ real, realRunning }, dice) => {
  const one = pick(dice, [...real.values()]);
  if (realRunning.has(one.name)) await one.reboot();
};

/** A window in which there may be no rules: it ends when they are back. */
async function untilHealed({ routewall: { bed }, traffic }: World, damage: () => Promise<unknown>): Promise<void> {
  const done = traffic.excuse('lost', 'leaked');
  const before = await readOwnState(bed.host);
  await damage();
  const isBack = async (): Promise<boolean> => {
    const { tables } = await readOwnState(bed.host);
    const names = ['inet chain forward_from', 'inet chain forward_to', 'inet chain antispoof', 'inet set veths'];
    return names.every((name) => JSON.stringify(tables[name]) === JSON.stringify(before.tables[name]));
  };
  // What is asserted comes after the sequence, with its steps; here only the window has to end.
  await eventually('the rules are back', isBack, 10_000).catch(() => undefined);
  // What began without rules is cut soon after.
  setTimeout(done, 1_000);
}

const DAMAGES = [
  'delete table arp routewall',
  'insert rule inet routewall forward_from accept',
  'flush chain inet routewall forward_to',
  'add table inet routewall { flags dormant; }',
  'delete element inet routewall veths { "cveth-a" }',
  'add element inet routewall veths { "stranger" }',
];

const nftChild = ({ routewall }: World): number | undefined =>
  childrenOf(routewall.daemon.child().pid).find((pid) => /^nft -i$/.test(commandOf(pid)));

const restart = ({ routewall: { daemon } }: World): Promise<void> => daemon.restart('SIGKILL');

/** As Debian starts services. */
const FILES = 1024;

/** Only what it must write is refused; it runs on. */
async function withFullDisk({ stateFolder }: World, meanwhile: () => Promise<unknown>): Promise<void> {
  await run('dd', ['if=/dev/zero', `of=${stateFolder}/filler`, 'bs=64k', 'count=40']).catch(() => undefined);
  await meanwhile();
  await rm(join(stateFolder, 'filler'));
}

const FAULTS: Readonly<Record<string, readonly [number, Fault]>> = {
  edit: [8, edit],
  profile: [2, (world, dice) => write(world, 'profiles/base.yaml', pick(dice, PROFILES))],
  start: [6, start],
  stop: [4, stop],
  startReal: [4, startReal],
  stopReal: [3, stopReal],
  reboot: [2, reboot],
  halfWritten: [
    2,
    async (world, dice) => {
      const file = join(world.routewall.policyFolder, 'containers', `${pick(dice, namesOf(world))}.yaml`);
      await writeFile(file, 'egress: { rules: [{ allow: tcp/8');
      await sleep(dice(60));
      await appendFile(file, '0, to: any }] }\n');
    },
  ],
  renamedInto: [
    1,
    async (world, dice) => {
      const file = join(world.routewall.policyFolder, 'containers', `${pick(dice, namesOf(world))}.yaml`);
      await writeFile(`${file}~`, pick(dice, POLICIES) ?? '');
      await rename(`${file}~`, file);
    },
  ],
  thousand: [
    1,
    async (world, dice) => {
      const text = pick(dice, POLICIES);
      const names = Array.from({ length: 1000 }, (_, index) => `containers/x${index}.yaml`);
      await Promise.all(names.map((path) => write(world, path, text)));
      await Promise.all(names.map((path) => write(world, path, undefined)));
    },
  ],
  folderGone: [
    1,
    async ({ routewall: { policyFolder } }, dice) => {
      await rename(policyFolder, `${policyFolder}-away`);
      await sleep(dice(80));
      await rename(`${policyFolder}-away`, policyFolder);
    },
  ],
  killDaemon: [3, restart],
  endDaemon: [1, ({ routewall: { daemon } }) => daemon.restart('SIGTERM')],
  killDaemonWhileItWorks: [
    3,
    async (world, dice) => {
      await Promise.all([edit(world, dice), start(world, dice), sleep(dice(40))]);
      await restart(world);
    },
  ],
  hangup: [1, async ({ routewall: { daemon } }) => daemon.child().signal('SIGHUP')],
  killNft: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      await edit(world, dice);
      await sleep(dice(10));
      if (pid !== undefined) kill(pid);
    },
  ],
  pauseNft: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      if (pid !== undefined) kill(pid, 'SIGSTOP');
      await edit(world, dice);
      await sleep(dice(200));
      if (pid !== undefined) kill(pid, 'SIGCONT');
    },
  ],
  killDaemonWithNftPaused: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      if (pid !== undefined) kill(pid, 'SIGSTOP');
      await Promise.all([edit(world, dice), start(world, dice), sleep(50 + dice(100))]);
      await restart(world);
      // Now it does what the dead daemon wanted.
      if (pid !== undefined && isAlive(pid)) kill(pid, 'SIGCONT');
    },
  ],
  nftMisbehaves: [
    3,
    async (world, dice) => {
      await world.tools.setNft(pick(dice, NFT_MODES));
      const pid = nftChild(world);
      if (pid !== undefined && dice(2) === 0) kill(pid);
      await Promise.all([edit(world, dice), start(world, dice)]);
      await sleep(dice(300));
      await world.tools.setNft('real');
      // One that takes everything and does nothing would go on for ever.
      const impostor = nftChild(world);
      if (impostor !== undefined) kill(impostor);
    },
  ],
  killAllChildren: [
    2,
    async ({ routewall: { daemon } }) => {
      for (const pid of childrenOf(daemon.child().pid)) kill(pid);
    },
  ],
  killMonitord: [
    2,
    async ({ routewall: { bed } }) => {
      const { stdout } = await bed.host.run('ip', ['netns', 'pids', bed.host.name]);
      for (const pid of stdout.split('\n').filter(Boolean).map(Number))
        if (/lxc-monitord/.test(commandOf(pid))) kill(pid);
    },
  ],
  flush: [
    2,
    (world) =>
      untilHealed(world, () =>
        world.routewall.bed.host.run('nft', ['-f', '-'], { input: `flush ruleset\n${SOMEBODYS}\n` }),
      ),
  ],
  foreignEdit: [
    3,
    (world, dice) => untilHealed(world, () => world.routewall.bed.host.runForResult('nft', [pick(dice, DAMAGES)])),
  ],
  routesDeleted: [
    2,
    async ({ routewall: { bed }, traffic }) => {
      const done = traffic.excuse('lost');
      const show = async (): Promise<string> =>
        (await bed.host.run('ip', ['-4', 'route', 'show', 'proto', '119'])).stdout.trim();
      const before = await show();
      await bed.host.run('ip', ['-4', 'route', 'flush', 'proto', '119']);
      await bed.host.run('ip', ['-6', 'route', 'flush', 'proto', '119']);
      await eventually('the routes are back', async () => (await show()) === before, 10_000).catch(() => undefined);
      done();
    },
  ],
  uplinkFlaps: [
    2,
    async ({ routewall: { bed }, traffic }, dice) => {
      const done = traffic.excuse('lost');
      await bed.host.run('ip', ['link', 'set', 'eth0', 'down']);
      await sleep(dice(100));
      await bed.host.run('ip', ['link', 'set', 'eth0', 'up']);
      // The administrator's own, which no one else puts back.
      const input = ['address replace 2001:db8:0:1::1/64 dev eth0 nodad', ...DEFAULT_ROUTES].join('\n');
      await bed.host.run('ip', ['-batch', '-'], { input: `${input}\n` });
      await sleep(1_000);
      done();
    },
  ],
  uplinkAddress: [
    2,
    async ({ routewall: { bed } }, dice) => {
      await bed.host.run('ip', ['address', 'add', '203.0.113.33/28', 'dev', 'eth0']);
      await sleep(dice(100));
      await bed.host.run('ip', ['address', 'del', '203.0.113.33/28', 'dev', 'eth0']);
    },
  ],
  diskFull: [2, (world, dice) => withFullDisk(world, () => edit(world, dice))],
  diskFullAtTheStart: [1, (world, dice) => withFullDisk(world, () => Promise.all([edit(world, dice), restart(world)]))],
  readOnlyState: [
    2,
    async (world, dice) => {
      await run('mount', ['-o', 'remount,ro', world.stateFolder]);
      const restarts = dice(2) === 0;
      await Promise.all([edit(world, dice), restarts ? restart(world) : sleep(50)]);
      await run('mount', ['-o', 'remount,rw', world.stateFolder]);
      // It began with a mount of its own, which stays read-only.
      if (restarts) await restart(world);
    },
  ],
  stateDamaged: [
    1,
    async (world, dice) => {
      for (const name of await readdir(world.stateFolder, { recursive: true })) {
        if (/[.](?:json|nft)$/.test(name) && dice(2) === 0)
          await writeFile(join(world.stateFolder, name), pick(dice, ['', '{', '[]', '{"files":{"a":1}}', '\0']));
      }
      await mkdir(join(world.stateFolder, 'last-good', 'folder.json'), { recursive: true });
      await restart(world);
    },
  ],
  outOfFiles: [
    2,
    async (world, dice) => {
      const pid = String(world.routewall.daemon.child().pid);
      await run('prlimit', ['--pid', pid, `--nofile=${20 + dice(40)}:`]);
      await Promise.all([edit(world, dice), start(world, dice), sleep(dice(200))]);
      await run('prlimit', ['--pid', pid, `--nofile=${FILES}:`]);
    },
  ],
  steadyEdit: [
    2,
    async (world, dice) => {
      await write(
        world,
        'containers/steady.yaml',
        pick(dice, ['egress: [\n', `${STEADY}ingress: { log: true }\n`, '\0']),
      );
      await sleep(dice(100));
      await write(world, 'containers/steady.yaml', STEADY);
    },
  ],
};

/** One fault, with all that it rolls by its own seed: the same whatever came before. */
export interface Step {
  readonly fault: string;
  readonly seed: number;
}

const choices = Object.entries(FAULTS).flatMap(([name, [weight]]) => Array.from({ length: weight }, () => name));

export const randomStep = (dice: Dice, only: readonly string[] = choices): Step => ({
  fault: pick(dice, only),
  seed: dice(1_000_000_000),
});

export async function inflict(world: World, { fault }: Step, dice: Dice): Promise<void> {
  await FAULTS[fault]?.[1](world, dice);
}
