/** A resync of a kernel that is as it was when it was right runs no command; any change makes it look at everything. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import type { Run } from '../../controller/commands/run.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
let commands = 0;

const desired = stateOf(nicOf(1, 81), nicOf(2, 82));

/** As a pass does it. @returns how much was repaired, and how many commands that took. */
async function resync(state = desired): Promise<{ repaired: number; commands: number }> {
  const before = commands;
  await applier.proof.look();
  const { repaired } = await applier.resync(requestOf(state));
  return { repaired: repaired.length, commands: commands - before };
}

/** Behind a look at everything: what it is to be known by is read when it is over, for which no pass waits; and links settle. */
async function untilProven(): Promise<void> {
  for (let round = 0; round < 50 && (await resync()).commands > 0; round++)
    await new Promise((resolve) => setTimeout(resolve, 100));
}

beforeEach(async () => {
  const counted =
    (inside: Run): Run =>
    (...args) => {
      commands++;
      return inside(...args);
    };
  ({ host, applier } = await openApplier(counted));
  await host.run('sh', ['-c', 'ip link add veth1 up type veth peer name veth2; ip link set veth2 up']);
  await untilProven();
});
afterEach(cleanUp);

it('runs nothing while nothing changes, but for a look at everything now and then', async () => {
  const counts: number[] = [];
  for (let count = 0; count < 60; count++) {
    const { commands } = await resync();
    counts.push(commands);
    if (commands > 0) await untilProven();
  }
  expect(counts.filter((each) => each > 0)).toHaveLength(1);
});

it.each([
  'nft flush chain inet routewall forward_from',
  'nft delete table arp routewall',
  'ip route del 198.51.100.1 dev veth1',
  'ip address del 169.254.0.1/32 dev veth2',
])('sees `%s`, twice in a row', async (change) => {
  expect(await resync()).toEqual({ repaired: 0, commands: 0 });
  for (const _time of [1, 2]) {
    await host.run('sh', ['-c', change]);
    expect((await resync()).repaired).toBeGreaterThan(0);
    expect((await resync()).repaired).toBe(0);
  }
});

it('looks at everything for another state, after distrust, and after its proof is forgotten', async () => {
  expect((await resync(stateOf(nicOf(1, 81)))).commands).toBeGreaterThan(0);
  expect((await resync()).commands).toBeGreaterThan(0);
  for (const distrust of [() => applier.distrust(), () => applier.proof.forget()]) {
    await untilProven();
    expect((await resync()).commands).toBe(0);
    distrust();
    expect((await resync()).commands).toBeGreaterThan(0);
  }
});
