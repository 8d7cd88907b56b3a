/** What the real nft refuses of one container keeps nobody else from theirs, at a change and at a repair. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { keyOf, nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

/** Beyond what a port can be: nft says "Service out of range". */
const BAD = 70_000;

let host: Namespace;
let applier: Applier;

beforeEach(async () => {
  ({ host, applier } = await openApplier());
});
afterEach(cleanUp);

/** The veth's rules each way, without what every chain begins and ends with. */
async function rulesOf(number: number): Promise<number> {
  const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
  const [, chain = 'none'] = new RegExp(`map from_container[\\s\\S]*?"veth${number}" : goto (\\w+)`).exec(stdout) ?? [];
  const [, rules = ''] = new RegExp(`chain ${chain} \\{([\\s\\S]*?)\\n\\t\\}`).exec(stdout) ?? [];
  return rules.split('\n').filter((line) => /tcp dport/.test(line)).length;
}

it('pins a refusal at the first load to its NICs, which are shut, and loads each rule of the others once', async () => {
  const nics = [1, 2, 3, 4, 5, 6].map((number) => nicOf(number, number % 3 === 0 ? BAD : 80 + number));
  const { refused, enforced } = await applier.resync(requestOf(stateOf(...nics)));
  expect([...refused.keys()]).toEqual([keyOf(nicOf(3, 1)), keyOf(nicOf(6, 1))]);
  expect(refused.get(keyOf(nicOf(3, 1)))).toContain('out of range');
  expect(enforced.nics.size).toBe(6);
  expect(await Promise.all([1, 2, 3, 4, 5, 6].map(rulesOf))).toEqual([1, 1, 0, 1, 1, 0]);
});

it('does the same when it repairs a ruleset that is there, and leaves the bad NIC what it had', async () => {
  const good = [1, 2, 3, 4].map((number) => nicOf(number, 80 + number));
  await applier.resync(requestOf(stateOf(...good)));
  await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'forward_from']);
  const [one, two, three, four] = [nicOf(1, 91), nicOf(2, BAD), nicOf(3, 93), nicOf(4, BAD)];
  const { refused, enforced } = await applier.resync(requestOf(stateOf(one, two, three, four)));
  expect([...refused.keys()]).toEqual([keyOf(two), keyOf(four)]);
  expect(enforced.nics.get(keyOf(two))).toBe(good[1]);
  expect(await Promise.all([1, 2, 3, 4].map(rulesOf))).toEqual([1, 1, 1, 1]);
  const { stdout } = await host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from']);
  expect(stdout.match(/ct state established accept/g)).toHaveLength(1);
  const again = await applier.resync(requestOf(enforced));
  expect([again.written, again.refused.size]).toEqual([again.repaired.length, 0]);
});

it('keeps the old rules at a change, and takes the mended ones', async () => {
  await applier.apply(requestOf(stateOf(nicOf(1, 80), nicOf(2, 80))));
  const { refused } = await applier.apply(requestOf(stateOf(nicOf(1, BAD), nicOf(2, 82))));
  expect([...refused.keys()]).toEqual([keyOf(nicOf(1, 1))]);
  expect(await Promise.all([1, 2].map(rulesOf))).toEqual([1, 1]);
  expect((await applier.apply(requestOf(stateOf(nicOf(1, 81), nicOf(2, 82))))).refused.size).toBe(0);
});
