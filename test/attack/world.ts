/** A host under attack: real containers and stand-ins for containers, a daemon, and what a fault needs to get at. */
import { atEnd, makeFolder } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { run } from '../../sandbox/run.ts';
import { startBus, type TestBus } from '../dbus/system-bus.ts';
import { type Expected, readForeign } from '../lxc/kernel-state.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { makeClock, type OddClock } from './clock.ts';
import { makeStandIns, type StandIns, vethOf } from './stand-ins.ts';
import { makeTools, type Tools } from './tools.ts';
import { startTraffic, type Traffic } from './traffic.ts';

export interface World {
  readonly routewall: Routewall;
  readonly tools: Tools;
  readonly clock: OddClock;
  readonly bus: TestBus;
  readonly traffic: Traffic;
  /** Runs all the time, and sends. */
  readonly steady: Container;
  /** Real ones that come and go, flooding from init's first instruction on. */
  readonly real: ReadonlyMap<string, Container>;
  readonly realRunning: Set<string>;
  readonly standIns: StandIns;
  /** The one of them whose addresses lie on the uplink's own prefixes. */
  readonly proxied: { readonly name: string; readonly addresses: readonly [string, string] };
  /** What goes on beside the faults, and has to end well before anything is looked at. */
  readonly pending: Promise<unknown>[];
  /** On a small disk of its own. */
  readonly stateFolder: string;
  readonly addressesOf: (name: string) => readonly [string, string];
  readonly foreign: string;
}

export const STEADY = 'egress: { rules: [{ allow: udp/7777, to: any }] }\n';
const FLOOD_PING = 'while :; do ping -q -i 0.01 203.0.113.80; done';
const REAL = ['r1', 'r2'];
const STAND_INS = ['a', 'b', 'c'];

const FIRST = 20;
const ON_LINK = ['192.0.2.77', '2001:db8:0:1::77'] as const;

export const SOMEBODYS =
  'table ip somebody { chain c { type filter hook output priority 5; counter; }; set s { type ipv4_addr; elements = { 192.0.2.9 }; }; }';
export const DEFAULT_ROUTES = ['route replace default via 192.0.2.2', 'route replace ::/0 via 2001:db8:0:1::2'];

export interface WorldOptions {
  readonly real?: readonly string[];
  readonly standIns?: readonly string[];
  /** A module that the daemon's process loads first. */
  readonly preload?: string | undefined;
}

export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const cast = { real: REAL, standIns: STAND_INS, ...options };
  const addresses = new Map(
    ['steady', ...cast.real, ...cast.standIns].map((name, index) => [name, addressesOf(FIRST + index)]),
  );
  const proxied = { name: cast.standIns.at(-1) ?? '', addresses: ON_LINK };
  addresses.set(proxied.name, ON_LINK);
  const mine = (name: string): readonly [string, string] => addresses.get(name) ?? ON_LINK;
  const [tools, stateFolder, clock, bus] = [
    await makeTools(),
    await makeDisk(),
    await makeClock(options.preload),
    await startBus(),
  ];
  const routewall = await startRoutewall({
    // A minute's resync would mend in silence what nobody noticed.
    config: 'resync: 86400\n',
    env: { PATH: tools.path, STATE_DIRECTORY: stateFolder, ...bus.env },
    daemonEnv: clock.env,
    policies: {
      'containers/steady.yaml': STEADY,
      'profiles/base.yaml': 'egress: { rules: [{ allow: dns, to: host }] }\n',
    },
    prepare: async ({ host }) => void (await host.run('nft', ['-f', '-'], { input: SOMEBODYS })),
  });
  const { bed } = routewall;
  clock.attach(routewall.daemon);
  const standIns = await makeStandIns(bed, new Map(cast.standIns.map((name) => [name, mine(name)])), INTERNET);
  const steady = await routewall.addContainer('steady', { lines: nic(mine('steady')) });
  await routewall.start(steady);
  const real = new Map<string, Container>();
  for (const name of cast.real) {
    const lines = nic(mine(name));
    real.set(name, await routewall.addContainer(name, { lines, policy: '{}\n', command: FLOOD_PING }));
  }
  const traffic = await startTraffic({
    inside: await steady.inside(),
    outside: bed.outside,
    host: bed.host,
    to: INTERNET,
  });
  return {
    ...{ routewall, tools, clock, bus, traffic, steady, real, standIns, proxied, stateFolder, addressesOf: mine },
    pending: [],
    realRunning: new Set<string>(),
    foreign: await readForeignWhole(bed.host),
  };
}

/** The kernel adds an address's own route in its own time. */
async function readForeignWhole(host: Place): Promise<string> {
  let foreign = '';
  await eventually(
    "the host's addresses have their routes",
    async () => {
      foreign = await readForeign(host);
      return ['2001:db8:0:1::1', 'fe80::'].every((address) => foreign.includes(`\nlocal ${address}`));
    },
    60_000,
  );
  return foreign;
}

/** Before any namespace's processes: each of them copies the mounts of this one. */
async function makeDisk(): Promise<string> {
  const folder = await makeFolder();
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', folder]);
  atEnd(`unmount ${folder}`, async () => void (await run('umount', ['-l', folder])));
  return folder;
}

/** What the kernel must hold, as the world knows it. */
export async function expectedOf(world: World): Promise<readonly Expected[]> {
  const { steady, real, realRunning, standIns, proxied, addressesOf: mine } = world;
  const containers = [steady, ...[...real.values()].filter(({ name }) => realRunning.has(name))];
  return [
    ...(await Promise.all(containers.map(async (one) => ({ veth: await one.hostVeth(), addresses: mine(one.name) })))),
    ...[...standIns.up].map((name) => ({
      veth: vethOf(name),
      addresses: mine(name),
      ...(name === proxied.name ? { proxied: mine(name) } : {}),
    })),
  ];
}
