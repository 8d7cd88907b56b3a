/**
 * Whatever happens in whatever order, the kernel ends as a daemon would make it that knows nothing of the past. Veths
 * that configurations name stand for containers: a link that exists is a container that runs, and costs no LXC.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createHost, type Host } from '../../sandbox/host.ts';
import { NODE, PROGRAM } from '../../sandbox/routewall.ts';
import { type OwnState, readOwnState } from './kernel-state.ts';
import { nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Hosts of their own, side by side; each goes on where its last sequence ended. */
const SEEDS = [20_240_607, 7_604_202];
const SEQUENCES = 50;
const CONTAINERS = ['a', 'b', 'c', 'd'] as const;
const veth = (name: string): string => `cveth-${name}`;
const routeOf = (name: string): string => `198.51.100.${112 + 16 * '_abcd'.indexOf(name)}/28`;

const POLICIES: readonly (string | undefined)[] = [
  'egress: { rules: [{ allow: tcp/80, to: any }] }\n',
  'egress: { rules: [{ allow: tcp/81, to: "container:a" }] }\ningress: { default: reject }\n',
  'use: [base]\negress: { default: reject, log: true }\n',
  'ingress: { rules: [{ allow: [ssh, https], from: [lan, "group:g"] }] }\n',
  'routes: [ROUTE]\negress: { default: allow }\n',
  'egress: [\n',
  undefined,
];
const PROFILES: readonly (string | undefined)[] = [
  'egress: { rules: [{ allow: dns, to: host }] }\n',
  'ingress: { rules: [{ allow: icmp, from: any }] }\n',
  'egress: 1\n',
  undefined,
];

/** The same numbers for the same seed (mulberry32). */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface World {
  readonly routewall: Routewall;
  readonly next: (below: number) => number;
  /** A second host with the same addresses. */
  readonly twin: Host;
  readonly running: Set<string>;
  readonly done: string[];
}

/** Own addresses for each, so that no two ask for the same: who has such a one keeps it, which is history. */
async function configure({ routewall, next }: World, name: string): Promise<void> {
  const last = 10 * '_abcd'.indexOf(name) + next(4);
  const addresses = [`198.51.100.${last}`, `2001:db8:100::${last}`, `192.0.2.${last}`].slice(0, 1 + next(3));
  const lines = [
    ...nic(addresses, { extra: [`veth.pair = ${veth(name)}`] }),
    ...(next(2) === 0 ? ['lxc.group = g'] : []),
  ];
  await mkdir(join(routewall.bed.lxcPath, name), { recursive: true });
  await writeFile(join(routewall.bed.lxcPath, name, 'config'), `${lines.join('\n')}\n`);
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

const STEPS: Readonly<Record<string, (world: World, name: string) => Promise<unknown>>> = {
  start: async ({ routewall: { bed }, running }, name) => {
    if (running.has(name)) return;
    running.add(name);
    const peer = ['peer', 'name', `peer-${name}`, 'netns', bed.outside.name];
    await bed.host.run('ip', ['link', 'add', veth(name), 'type', 'veth', ...peer]);
    await bed.host.run('ip', ['link', 'set', veth(name), 'up']);
  },
  stop: async ({ routewall: { bed }, running }, name) => {
    if (running.delete(name)) await bed.host.run('ip', ['link', 'del', veth(name)]);
  },
  restart: async (world, name) => {
    await STEPS['stop']?.(world, name);
    await STEPS['start']?.(world, name);
  },
  flap: async ({ routewall: { bed }, running }, name) => {
    if (!running.has(name)) return;
    await bed.host.run('ip', ['link', 'set', veth(name), 'down']);
    await bed.host.run('ip', ['link', 'set', veth(name), 'up']);
  },
  policy: async ({ routewall, next }, name) =>
    write(routewall, `containers/${name}.yaml`, POLICIES[next(POLICIES.length)]?.replace('ROUTE', routeOf(name))),
  profile: async ({ routewall, next }) => write(routewall, 'profiles/base.yaml', PROFILES[next(PROFILES.length)]),
  config: (world, name) => configure(world, name),
  unconfig: async ({ routewall, running }, name) => {
    // What runs keeps what it has without a configuration, and that is history again.
    if (!running.has(name)) await remove(join(routewall.bed.lxcPath, name));
  },
  kill: ({ routewall }) => routewall.daemon.restart('SIGKILL'),
  flush: ({ routewall: { bed } }) => bed.host.run('nft', ['flush', 'ruleset']),
  hangup: async ({ routewall }) => routewall.daemon.child().signal('SIGHUP'),
};
/** Some come more often than others. */
const CHOICES = [
  'start',
  'start',
  'start',
  'stop',
  'restart',
  'flap',
  'policy',
  'policy',
  'policy',
  'policy',
  'profile',
  'config',
  'config',
  'unconfig',
  'kill',
  'flush',
  'hangup',
];

async function write(routewall: Routewall, path: string, text: string | undefined): Promise<void> {
  if (text === undefined) await remove(join(routewall.policyFolder, path));
  else await routewall.writePolicy(path, text);
}

/** What a daemon makes of the same files and links in a host that never saw routewall; it inherits only its memory. */
async function readFresh({ routewall, twin, running }: World): Promise<OwnState> {
  const { host, outside } = twin;
  const folder = await makeFolder();
  // A record that is just being renamed into place may vanish meanwhile; then both are read again.
  await host.runForResult('cp', ['-r', routewall.env['STATE_DIRECTORY'] ?? '', join(folder, 'state')]);
  const env = { RUNTIME_DIRECTORY: join(folder, 'run'), STATE_DIRECTORY: join(folder, 'state') };
  const links = [...running].map(
    (name) =>
      `ip link add ${veth(name)} type veth peer name peer-${name} netns ${outside.name}; ip link set ${veth(name)} up`,
  );
  await host.run('sh', ['-c', ['set -e', ...links].join('\n')]);
  const { configFile, policyFolder, bed } = routewall;
  const words = ['daemon', '--once', '--config', configFile, '--policies', policyFolder, '-P', bed.lxcPath];
  // A hundredth of it on a machine that has nothing else to do.
  const { stderr } = await host.runForResult(NODE, [PROGRAM, ...words], { env, timeout: 120_000 });
  expect(stderr).toContain(' ready: ');
  const state = await readOwnState(host);
  const proxies = 'ip neigh show proxy | while read address _ dev _; do ip neigh del proxy $address dev $dev; done';
  const gone = [...running].map((name) => `ip link del ${veth(name)}`);
  const tables = ['inet', 'arp'].map((family) => `nft delete table ${family} routewall`);
  await host.run('sh', ['-c', ['set -e', ...tables, proxies, ...gone].join('\n')]);
  return state;
}

async function makeWorld(seed: number): Promise<World> {
  const routewall = await startRoutewall({
    config: 'uplinks: [eth0]\n',
    policies: { 'profiles/base.yaml': PROFILES[0] ?? '' },
  });
  const world = {
    routewall,
    next: numbersFrom(seed),
    twin: await createHost(),
    running: new Set<string>(),
    done: [],
  };
  for (const name of CONTAINERS) await configure(world, name);
  return world;
}

async function endsAsAFreshDaemonWould(world: World): Promise<number> {
  const { routewall, done } = world;
  let [found, fresh] = [await readOwnState(routewall.bed.host), await readFresh(world)];
  // Read again both, since the daemon may still be at work, and so may its memory be.
  await eventually('the same', async () => {
    for (let patience = 0; patience < 10; patience += 1) {
      found = await readOwnState(routewall.bed.host);
      if (JSON.stringify(found) === JSON.stringify(fresh)) return true;
    }
    fresh = await readFresh(world);
    return false;
  }).catch(() => undefined);
  const log = routewall.daemon.log().slice(-15).join('\n');
  expect(found, `${done.slice(-25).join('\n')}\n${log}`).toEqual(fresh);
  return found.routes.length;
}

async function tryRandomSequences(seed: number, sequences: number): Promise<number> {
  const world = await makeWorld(seed);
  const { next, done } = world;
  let enforced = 0;
  for (let sequence = 0; sequence < sequences; sequence += 1) {
    done.push(`-- ${seed}: ${sequence}`);
    for (let count = 2 + next(6); count > 0; count -= 1) {
      const [step = '', name = ''] = [CHOICES[next(CHOICES.length)], CONTAINERS[next(CONTAINERS.length)]];
      done.push(`${step} ${name}`);
      await STEPS[step]?.(world, name);
    }
    enforced += await endsAsAFreshDaemonWould(world);
  }
  return enforced;
}

test(`${SEQUENCES} random sequences of starts, stops, edits, kills and flushes end as a fresh daemon would have it`, async () => {
  const enforced = await Promise.all(SEEDS.map((seed) => tryRandomSequences(seed, SEQUENCES / SEEDS.length)));
  expect(enforced.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(SEQUENCES);
}, 600_000);

test('of two containers with one address the one that has it keeps it, and the other gets it when the first stops', async () => {
  const world = await makeWorld(1);
  const { routewall } = world;
  const { bed, daemon } = routewall;
  const lines = (name: string) => [...nic(['198.51.100.50'], { extra: [`veth.pair = ${veth(name)}`] }), ''].join('\n');
  for (const name of ['a', 'b']) await writeFile(join(bed.lxcPath, name, 'config'), lines(name));
  const holder = async (): Promise<string> => (await readOwnState(bed.host)).routes.join();
  const held = (name: string) =>
    eventually(`${name} has it`, async () => (await holder()) === `198.51.100.50 dev ${veth(name)}`);
  const owners = async () => (await readOwnState(bed.host)).tables['inet set owned4']?.length;
  await STEPS['start']?.(world, 'b');
  await held('b');
  await STEPS['start']?.(world, 'a');
  await daemon.waitForLog(/\/a\/config:\d+:\d+: error: .*198[.]51[.]100[.]50 .*belongs to container b/);
  await held('b');
  expect(await owners()).toBe(1);
  // A connection of the first must not become the second's.
  const entry = '-I -p tcp -s 203.0.113.80 -d 198.51.100.50 --sport 7 --dport 22 --state ESTABLISHED --timeout 600';
  await bed.host.run('conntrack', entry.split(' '));
  await STEPS['stop']?.(world, 'b');
  await held('a');
  expect(await owners()).toBe(1);
  await eventually('no connection is left', async () => {
    const { stdout } = await bed.host.run('conntrack', ['-L', '-d', '198.51.100.50']);
    return stdout.trim() === '';
  });
  await daemon.waitForLog(/no longer: .*\/a\/config/);
});
