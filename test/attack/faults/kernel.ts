/** What others do to the kernel's state: our table, routes, proxies, the uplink and its addresses. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../sandbox/eventually.ts';
import { readOwnState } from '../../lxc/kernel-state.ts';
import { DEFAULT_ROUTES, SOMEBODYS, type World } from '../world.ts';
import { type Faults, pick, says } from './fault.ts';

/** What was begun while there were no rules, and would be refused by any: only what passed is tracked. */
const FORBIDDEN = /dport=9999|type=8|type=128/;

/** What a daemon that is well takes to put everything back. */
const HEALED_MS = 300;

/**
 * A time in which there may be no rules. It ends when they are back and what began meanwhile has been cut, which is waited
 * for beside the faults that follow.
 */
async function untilHealed(world: World, what: string, damage: () => Promise<unknown>): Promise<boolean> {
  const { traffic, pending } = world;
  const { host } = world.routewall.bed;
  const done = traffic.excuse(what, 'lost', 'leaked');
  const before = await readOwnState(host);
  let damaged: unknown;
  const isRepaired = await says(
    world,
    / repaired: /,
    async () => {
      await damage();
      ({ tables: damaged } = await readOwnState(host));
    },
    HEALED_MS,
  );
  const isBack = async (): Promise<boolean> => {
    const { tables } = await readOwnState(host);
    const names = ['inet chain forward_from', 'inet chain forward_to', 'inet chain antispoof', 'inet set veths'];
    return names.every((name) => JSON.stringify(tables[name]) === JSON.stringify(before.tables[name]));
  };
  // What is asserted comes after the sequence, with its steps; here only the time has to end.
  await eventually('the rules are back', isBack, 10_000).catch(() => undefined);
  let uncut: readonly string[] = [];
  const isCut = async (): Promise<boolean> => {
    const lists = await Promise.all(
      ['ipv4', 'ipv6'].map((family) => host.runForResult('conntrack', ['-L', '-f', family])),
    );
    uncut = lists.flatMap(({ stdout }) => stdout.split('\n').filter((line) => FORBIDDEN.test(line)));
    return uncut.length === 0;
  };
  // It takes a daemon that isn't killed for a second or two.
  const ended = eventually(`what began while ${what} is cut`, isCut, 180_000)
    .catch((cause: unknown) => {
      throw new Error(`${String(cause)}: ${uncut.slice(0, 3).join('\n')}`);
    })
    .finally(done);
  // Told when it is waited for.
  ended.catch(() => undefined);
  pending.push(ended);
  // Healed faster than it is read, it was damaged all the same.
  return isRepaired || JSON.stringify(damaged) !== JSON.stringify(before.tables);
}

const DAMAGES = [
  'delete table arp routewall',
  'insert rule inet routewall forward_from accept',
  'flush chain inet routewall forward_to',
  'add table inet routewall { flags dormant; }',
  'delete element inet routewall veths { "cveth-a" }',
  'add element inet routewall veths { "stranger" }',
];

export const KERNEL_FAULTS: Faults = {
  flush: [
    2,
    (world) =>
      untilHealed(world, 'everything was flushed', () =>
        world.routewall.bed.host.run('nft', ['-f', '-'], { input: `flush ruleset\n${SOMEBODYS}\n` }),
      ),
  ],
  foreignEdit: [
    3,
    (world, dice) =>
      untilHealed(world, 'the table was edited', () =>
        world.routewall.bed.host.runForResult('nft', [pick(dice, DAMAGES)]),
      ),
  ],
  routesDeleted: [
    2,
    async ({ routewall: { bed }, traffic }) => {
      const done = traffic.excuse('there were no routes', 'lost');
      const show = async (): Promise<string> =>
        (await bed.host.run('ip', ['-4', 'route', 'show', 'proto', '119'])).stdout.trim();
      const before = await show();
      await bed.host.run('ip', ['-4', 'route', 'flush', 'proto', '119']);
      await bed.host.run('ip', ['-6', 'route', 'flush', 'proto', '119']);
      await eventually('the routes are back', async () => (await show()) === before, 10_000).catch(() => undefined);
      done();
      return before !== '';
    },
  ],
  /** Of the stand-in whose addresses lie on the uplink's own prefixes, where it runs. */
  proxiesDeleted: [
    3,
    async ({ routewall: { bed }, standIns, proxied }) => {
      await standIns.start([proxied.name]);
      const show = async (): Promise<string> => (await bed.host.run('ip', ['neigh', 'show', 'proxy'])).stdout.trim();
      const isThere = async (): Promise<boolean> => (await show()).includes(proxied.addresses[0]);
      await eventually('the proxy is there', isThere, 10_000).catch(() => undefined);
      const deleted = await Promise.all(
        proxied.addresses.map((address) =>
          bed.host.runForResult('ip', ['neigh', 'del', 'proxy', address, 'dev', 'eth0']),
        ),
      );
      return deleted.some(({ exitCode }) => exitCode === 0);
    },
  ],
  uplinkFlaps: [
    2,
    async ({ routewall: { bed }, traffic }, dice) => {
      const done = traffic.excuse('the uplink was down', 'lost');
      await bed.host.run('ip', ['link', 'set', 'eth0', 'down']);
      await sleep(dice(100));
      await bed.host.run('ip', ['link', 'set', 'eth0', 'up']);
      // The administrator's own, which no one else puts back.
      const input = ['address replace 2001:db8:0:1::1/64 dev eth0 nodad', ...DEFAULT_ROUTES].join('\n');
      await bed.host.run('ip', ['-batch', '-'], { input: `${input}\n` });
      const bites = await traffic.flows();
      done();
      return bites;
    },
  ],
  uplinkAddress: [
    2,
    async ({ routewall: { bed } }, dice) => {
      const address = pick(dice, ['203.0.113.33/28', '2001:db8:0:33::1/64']);
      await bed.host.run('ip', ['address', 'add', address, 'dev', 'eth0']);
      await sleep(dice(100));
      await bed.host.run('ip', ['address', 'del', address, 'dev', 'eth0']);
      return true;
    },
  ],
};
