/** Addresses that go from one container to another, whose connections must not. */
import { expect, it } from 'vitest';
import { handedOver, lostPrefixes, withoutTaken } from '../../../controller/apply/handed-over.ts';
import { parsePrefix } from '../../../render/address.ts';
import type { NicState } from '../../../render/desired.ts';
import { certain, keyOf, nicOf, stateOf } from '../states.ts';

const owning = (number: number, ...prefixes: string[]): NicState => ({
  ...nicOf(number, 80),
  owned: prefixes.map((text) => certain(parsePrefix(text))),
});
const ONE = owning(1, '198.51.100.1/32');
const HEIR = owning(2, '198.51.100.1/32');
const WIDE = owning(3, '198.51.100.0/28');
const former = (nic: NicState) => nic.owned.map((prefix) => ({ key: keyOf(nic), prefix }));

it.each([
  ['in the pass in which the other stops', [ONE], [HEIR], [], [HEIR]],
  ['while the connections of one that stopped before are not forgotten yet', [], [HEIR], former(ONE), [HEIR]],
  ['as a part of a prefix', [WIDE], [HEIR], [], [HEIR]],
  ['with a prefix around it', [ONE], [WIDE], [], [WIDE]],
  ['not to who had it itself', [], [ONE], former(ONE), []],
  ['not where nothing is lost', [], [ONE], [], []],
  ['not by what was there before', [ONE, WIDE], [WIDE], [], []],
])('an address is handed over %s', (_, before, after, waiting, takers) => {
  const found = handedOver(stateOf(...before), stateOf(...after), waiting);
  expect([...found.takers]).toEqual(takers.map(keyOf));
  expect(found.released.size).toBe(takers.length);
});

it('meanwhile, who takes it has what he had already, and who starts has nothing', () => {
  const more = owning(4, '198.51.100.4/32', '198.51.100.1/32');
  const before = stateOf(ONE, owning(4, '198.51.100.4/32'));
  const { nics } = withoutTaken(before, stateOf(more, HEIR), new Set([more, HEIR].map(keyOf)));
  expect([...nics.values()].map(({ owned, routes }) => ({ owned, routes }))).toEqual([
    { owned: ['198.51.100.4/32'], routes: more.routes },
  ]);
  const moved = { ...more, hostVeth: HEIR.hostVeth };
  expect(withoutTaken(before, stateOf(moved), new Set([keyOf(moved)])).nics.size).toBe(0);
});

it('after a start only what waits can be handed over', () => {
  expect(handedOver(undefined, stateOf(HEIR), []).takers.size).toBe(0);
  expect([...handedOver(undefined, stateOf(HEIR), former(ONE)).takers]).toEqual([keyOf(HEIR)]);
});

it('a NIC loses what it has no more, whoever has it now', () => {
  expect(lostPrefixes(stateOf(ONE, WIDE), stateOf(HEIR, WIDE))).toEqual(former(ONE));
});
