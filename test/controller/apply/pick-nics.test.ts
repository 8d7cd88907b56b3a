/** Whose routes, proxies and gateway addresses a change has to look at. */
import { expect, it } from 'vitest';
import { keysOfMoved } from '../../../controller/apply/pick-nics.ts';
import type { NicState } from '../../../render/desired.ts';
import { keyOf, nicOf, stateOf } from '../states.ts';

const before = nicOf(1, 80);
const key = keyOf(before);
const moved = (after: NicState) => keysOfMoved(stateOf(before), stateOf(after), [key]);

it('passes over a NIC of which only the rules are others', () => {
  const { egress, ingress } = nicOf(1, 443);
  expect(moved({ ...before, egress, ingress })).toEqual([]);
});

it.each(['gateways', 'routes', 'proxies'] as const)('takes one whose %s may be others', (part) => {
  expect(moved({ ...before, [part]: [] })).toEqual([key]);
});

it('takes one that comes, and one that goes', () => {
  expect(keysOfMoved(stateOf(), stateOf(before), [key])).toEqual([key]);
  expect(keysOfMoved(stateOf(before), stateOf(), [key])).toEqual([key]);
});
