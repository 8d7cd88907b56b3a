/** Lists of hundreds of ranges, which are hash sets by prefix length: loaded, listed, read back, changed and healed. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import { listedByNft } from '../../controller/kernel/listed-chains.ts';
import { readRuleset } from '../../controller/kernel/observe.ts';
import { type AddressRange, formatRange, mergeRanges, parseRange } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { certain, chainOf, nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';
import { runIn } from './namespace-commands.ts';

let host: Namespace;
let applier: Applier;
beforeEach(async () => {
  ({ host, applier } = await openApplier());
});
afterEach(cleanUp);

/** Those whose third group is even, so that none can be merged with its neighbour; some are of several lengths. */
const listOf = (extra: string): AddressRange[] => {
  const some = Array.from({ length: 300 }, (_, index) => [
    `10.${index >> 7}.${(2 * index) & 255}.0/24`,
    `2001:db8:0:${(2 * index).toString(16)}::/64`,
  ]).flat();
  return mergeRanges(
    [...some, '192.0.2.7-192.0.2.19', '2001:db8:1::1-2001:db8:1::9', extra].map((text) => certain(parseRange(text))),
  );
};

function stateWith(extra: string): DesiredState {
  const nic = nicOf(1, 81);
  const [rule] = chainOf('egress', 443).rules;
  const rules = ([4, 6] as const).map((family) => ({
    ...certain(rule),
    peer: { kind: 'ranges' as const, family, ranges: listOf(extra).filter((range) => range.family === family) },
  }));
  return stateOf({ ...nic, egress: { ...nic.egress, rules } });
}

/** What the kernel's listing lets the NIC reach, and nothing of our own. */
async function reached(): Promise<string[]> {
  const listed = listedByNft(await readRuleset(runIn(host)));
  const name = certain(listed.nameFor(nicOf(1, 81), 'egress'));
  const { rules } = certain(listed.read(name, 'egress'));
  const ranges = rules.flatMap(({ peer }) => (peer.kind === 'ranges' ? peer.ranges : []));
  return mergeRanges(ranges).map(formatRange);
}

/** Routes and settings fail here for want of the veths, and are written each time. */
const mendedRules = async (state: DesiredState): Promise<string[]> =>
  (await applier.resync(requestOf(state))).repaired.filter((line) => / inet routewall( |$)/.test(line));

it('is read back as it was meant, and nothing of it is written again', async () => {
  const [one, other] = ['203.0.113.9', '203.0.113.16/28'];
  for (const extra of [one, other]) {
    await applier.apply(requestOf(stateWith(extra)));
    expect(await reached()).toEqual(listOf(extra).map(formatRange));
    expect(await mendedRules(stateWith(extra))).toEqual([]);
  }
  const { stdout } = await host.run('nft', ['list', 'sets']);
  // What another set's change would have nft read.
  expect(stdout.split('set ').filter((text) => /^peers/.test(text) && text.includes('interval'))).toEqual([]);
});

it.each(['add', 'delete'])('is healed where someone else would %s an element', async (what) => {
  const state = stateWith('203.0.113.9');
  await applier.apply(requestOf(state));
  const intact = await reached();
  const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
  const [, set] = certain(/ip daddr & 255\.255\.255\.0 (?:== )?@(\w+)/.exec(stdout) ?? undefined);
  await host.run('nft', [`${what} element inet routewall ${set} { ${what === 'add' ? '198.51.100.0' : '10.0.2.0'} }`]);
  expect(await reached()).not.toEqual(intact);
  expect(await mendedRules(state)).toHaveLength(1);
  expect(await reached()).toEqual(intact);
  expect(await mendedRules(state)).toEqual([]);
});
