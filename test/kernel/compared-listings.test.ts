/** What was compared once and is the same still is loaded nowhere else again, and what someone changed is seen each time. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import type { Run } from '../../controller/commands/run.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
let loadedElsewhere = 0;

const desired = stateOf(nicOf(1, 81), nicOf(2, 82));
/** @returns what it found otherwise, and how often it loaded rules elsewhere. */
async function resync(state = desired): Promise<{ rules: number; loads: number }> {
  const before = loadedElsewhere;
  const { repaired } = await applier.resync(requestOf(state));
  return { rules: repaired.filter(isRule).length, loads: loadedElsewhere - before };
}

/** Routes and settings fail here for want of the veths, and are written each time. */
const isRule = (line: string): boolean => / (inet|arp) routewall( |$)/.test(line);

beforeEach(async () => {
  const counted =
    (inside: Run): Run =>
    (command, args, options) => {
      if (command === 'unshare') loadedElsewhere++;
      return inside(command, args, options);
    };
  ({ host, applier } = await openApplier(counted));
  await resync();
  await resync();
});
afterEach(cleanUp);

it('loads nothing elsewhere while nothing changes, but for a fresh look now and then', async () => {
  const loads: number[] = [];
  for (let count = 0; count < 10; count++) loads.push((await resync()).loads);
  expect(loads.filter((each) => each === 1)).toHaveLength(1);
  expect(loads.filter((each) => each === 0)).toHaveLength(9);
});

it.each([
  ['a rule that lets all through', 'insert rule inet routewall forward_from accept'],
  ['a chain without its rules', 'flush chain inet routewall forward_from'],
  ['a map without its elements', 'flush map inet routewall from_container'],
  ['a chain that is nobody else’s', 'add chain inet routewall foreign'],
  ['a table that sleeps', 'add table inet routewall { flags dormant; }'],
  ['a table that is gone', 'delete table arp routewall'],
])('sees %s, twice in a row', async (_, edit) => {
  expect(await resync()).toEqual({ rules: 0, loads: 0 });
  for (const _time of [1, 2]) {
    const { stdout: intact } = await host.run('nft', ['-s', 'list', 'ruleset']);
    await host.run('nft', [edit]);
    expect((await host.run('nft', ['-s', 'list', 'ruleset'])).stdout).not.toBe(intact);
    expect((await resync()).rules).toBeGreaterThan(0);
    expect((await resync()).rules).toBe(0);
  }
});

it('writes what a policy says now, though the kernel is as it was', async () => {
  expect(await resync()).toEqual({ rules: 0, loads: 0 });
  expect((await resync(stateOf(nicOf(1, 91), nicOf(2, 82)))).loads).toBe(1);
  const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
  expect([stdout.includes('tcp dport 91'), stdout.includes('tcp dport 81')]).toEqual([true, false]);
});
