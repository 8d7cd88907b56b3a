/** Whose an address is, in whichever state is asked about: what was found for one of thousands of NICs is carried to the next. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nicIndexOf } from '../../../controller/host/nic-index.ts';
import {
  type Address,
  contains,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixLength,
  rangeOf,
} from '../../../render/address.ts';
import type { DesiredState, NicState } from '../../../render/desired.ts';
import { changeMap } from '../../../render/shared-map.ts';
import { keyOf, nicOf, stateOf } from '../states.ts';

const prefix = (text: string): Prefix => parsePrefix(text) ?? expect.unreachable(text);
const PREFIXES = [
  '192.0.2.1/32',
  '192.0.2.2/32',
  '192.0.2.0/28',
  '192.0.2.0/24',
  '2001:db8::1/128',
  '2001:db8::/64',
].map(prefix);
const ADDRESSES = [
  '192.0.2.1',
  '192.0.2.2',
  '192.0.2.9',
  '192.0.2.99',
  '203.0.113.1',
  '2001:db8::1',
  '2001:db8::2',
  '2001:db8:1::1',
].map((text): Address => parseAddress(text) ?? expect.unreachable(text));

/** Each prefix is one NIC's, or nobody's. */
type Owners = readonly (number | undefined)[];
const owners: fc.Arbitrary<Owners> = fc.tuple(
  ...PREFIXES.map(() => fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined })),
);

const EMPTY = stateOf();

function stateWith(before: DesiredState, owned: Owners, isShared: boolean): DesiredState {
  const entries = [1, 2, 3, 4].map((number): [string, NicState] => {
    const nic = nicOf(number, 80);
    return [keyOf(nic), { ...nic, owned: PREFIXES.filter((_, at) => owned[at] === number) }];
  });
  return { ...before, nics: isShared ? changeMap(before.nics, entries) : new Map(entries) };
}

const naive = ({ nics }: DesiredState, address: Address): string | undefined =>
  [...nics]
    .flatMap(([key, nic]) => nic.owned.map((one) => ({ key, one })))
    .filter(({ one }) => contains(rangeOf(one), address))
    .sort((a, b) => prefixLength(b.one) - prefixLength(a.one))[0]?.key;

test('as a look through all NICs tells, whichever state was asked about before', () => {
  const step = fc.record({ owned: owners, isShared: fc.boolean(), back: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const states = [EMPTY];
      for (const { owned, isShared, back } of steps) {
        states.push(stateWith(states.at(-1) ?? EMPTY, owned, isShared));
        for (const state of [states.at(-1), states.at(-1 - back)]) {
          if (state === undefined) continue;
          const index = nicIndexOf(state);
          for (const address of ADDRESSES) expect(index.ownerOf(address)?.key).toBe(naive(state, address));
          const gateways = [...state.nics.values()].flatMap((nic) => nic.gateways.map((one) => one.address));
          expect([...index.gateways].sort()).toEqual([...new Set(gateways)].sort());
        }
      }
    }),
  );
});
