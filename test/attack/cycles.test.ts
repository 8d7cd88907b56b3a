/**
 * Starts and stops without number, of containers that flood from their first moment, beside a stream that must not lose a
 * packet. `ATTACK_CYCLES=10000 npx vitest run --project attack test/attack/cycles.test.ts` for ten thousand of them.
 */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { OPEN } from '../lxc/routewall.ts';
import { checkTraffic, settle } from './checks.ts';
import { diceFrom } from './dice.ts';
import { aliveIn, GAUGE } from './heap.ts';
import { type Holdings, holdingsOf, surplusOf } from './processes.ts';
import { expectedOf, makeWorld, type World } from './world.ts';

const CYCLES = Number(process.env['ATTACK_CYCLES'] ?? 100);
/** However many there were by then. */
const MOST_MS = 60_000 * Number(process.env['ATTACK_MINUTES'] ?? 24 * 60);
const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_607);

/** Of 25 in each round. */
const REAL_ONES = Number(process.env['ATTACK_REAL'] ?? 3);
const STAND_INS = Array.from({ length: 25 - REAL_ONES }, (_, index) => `s${index}`);
const REAL = Array.from({ length: REAL_ONES }, (_, index) => `r${index}`);
const EACH_ROUND = STAND_INS.length + REAL.length;
/** All that is looked at costs seconds; what a start and a stop leave is looked at in each round. */
const LOOK_EVERY = 20;

afterEach(cleanUp);

/** Who sent anything that the host got, before any rule of ours. */
const WITNESS = `table inet witness {
  set senders { typeof iifname; size 1000; flags dynamic; }
  chain before { type filter hook prerouting priority -500; udp dport 9999 update @senders { iifname }; }
  chain pings { type filter hook prerouting priority -499; icmp type echo-request update @senders { iifname }; }
}`;

const list = async ({ routewall: { bed } }: World, ...words: readonly string[]): Promise<string> =>
  (await bed.host.run('nft', ['list', ...words])).stdout;

const namesIn = (listing: string): string[] =>
  [...listing.matchAll(/"(c?veth[^"]*)"/g)].flatMap(([, name]) => name ?? []).sort();

const vethsOf = async (world: World): Promise<string[]> => (await expectedOf(world)).map(({ veth }) => veth).sort();

async function untilEnforced(world: World): Promise<void> {
  const wanted = (await vethsOf(world)).join();
  const map = async (): Promise<string> =>
    namesIn(await list(world, 'map', 'inet', 'routewall', 'from_container')).join();
  await eventually('the map holds whoever runs', async () => (await map()) === wanted, 60_000);
}

/** Some at a time, in an order of chance; all of them have sent once it returns. */
async function startAll(world: World, dice: (below: number) => number): Promise<void> {
  const { host } = world.routewall.bed;
  await host.run('nft', ['-f', '-'], { input: WITNESS });
  const order = STAND_INS.map((name) => ({ name, at: dice(1_000) })).sort((a, b) => a.at - b.at);
  const real = Promise.all(
    [...world.real.values()].map(async (one) => {
      await one.start();
      world.realRunning.add(one.name);
    }),
  );
  for (let next = 0; next < order.length; ) {
    const size = 1 + dice(8);
    await world.standIns.start(order.slice(next, next + size).map(({ name }) => name));
    next += size;
  }
  await real;
  await untilEnforced(world);
  const wanted = (await vethsOf(world)).join();
  const senders = async (): Promise<string> => namesIn(await list(world, 'set', 'inet', 'witness', 'senders')).join();
  await eventually('all flood', async () => (await senders()) === wanted, 60_000);
  await host.run('nft', ['delete table inet witness']);
}

async function stopAll(world: World, dice: (below: number) => number): Promise<void> {
  const real = Promise.all(
    [...world.real.values()].map(async (one) => {
      world.realRunning.delete(one.name);
      await one.stop(dice(2) === 0 ? 'kill' : 'shutdown');
    }),
  );
  const names = [...world.standIns.up];
  for (let next = 0; next < names.length; next += 7) await world.standIns.stop(names.slice(next, next + 7));
  await real;
  await untilEnforced(world);
}

/** The same flood comes out where the policy allows it, so that its absence means something. */
async function showThatItCanLeak(world: World): Promise<void> {
  const { routewall, standIns, traffic } = world;
  const done = traffic.excuse('the policy allows it', 'leaked');
  await routewall.writePolicy('containers/s0.yaml', OPEN);
  await standIns.start(['s0']);
  await eventually('the flood comes out', () => traffic.count('leaked') > 10, 20_000);
  await standIns.stop(['s0']);
  await routewall.writePolicy('containers/s0.yaml', undefined);
  await settle(world);
  done();
}

test(
  'nothing leaks, is lost or is left over through starts and stops',
  async () => {
    const world = await makeWorld({ real: REAL, standIns: STAND_INS, preload: GAUGE });
    await showThatItCanLeak(world);
    const dice = diceFrom(SEED);
    const rounds = Math.ceil(CYCLES / EACH_ROUND);
    const holdings: Holdings[] = [];
    const look = async (): Promise<void> => {
      await settle(world);
      holdings.push(holdingsOf(world.routewall.daemon.child().pid));
    };
    const begin = performance.now();
    const alive: string[] = [];
    const weigh = async (round: number): Promise<void> => {
      const resident = holdingsOf(world.routewall.daemon.child().pid).megabytes;
      const megabytes = (await aliveIn(world.routewall)) / 1024 / 1024;
      alive.push(`${(round + 1) * EACH_ROUND}: ${megabytes.toFixed(1)} of ${resident} MB`);
    };
    let round = 0;
    for (; round < rounds && performance.now() - begin < MOST_MS; round += 1) {
      await startAll(world, dice);
      if (round % LOOK_EVERY === 0) await look();
      await stopAll(world, dice);
      checkTraffic(world);
      if ((round + 1) % Math.ceil(rounds / 4) === 0) await weigh(round);
    }
    await look();
    await world.traffic.fates();
    checkTraffic(world);
    const [first, last] = [holdings[0], holdings.at(-1)];
    console.log(
      `${round * EACH_ROUND} starts and stops, ${round * REAL.length} of them of real containers, in ${Math.round((performance.now() - begin) / 1000)} s; ` +
        `${world.traffic.sent()} allowed packets sent; lost 0, leaked 0, left over 0; ` +
        `files ${first?.files} → ${last?.files}, memory ${first?.megabytes} → ${last?.megabytes} MB; alive of resident after ${alive.join(', ')}`,
    );
    // A spare one may have begun in between.
    expect(new Set(last?.children)).toEqual(new Set(first?.children));
    expect(last === undefined ? 'never looked' : surplusOf(last)).toEqual([]);
    expect(last?.files ?? 0).toBeLessThanOrEqual((first?.files ?? 0) + 10);
    expect(last?.megabytes ?? 0).toBeLessThanOrEqual(2 * (first?.megabytes ?? 0) + 50);
  },
  24 * 3_600_000,
);
