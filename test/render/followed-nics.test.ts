/** Who has what is what a look at all of them finds, whatever state was asked about before. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { followNicsBy } from '../../render/followed-nics.ts';
import { desiredSequence } from './random-desired.ts';

const partsOf = ({ hostVeth, owned }: NicState): string[] => [hostVeth, ...owned];

function lookedUp({ nics }: DesiredState): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [key, nic] of nics)
    for (const part of partsOf(nic)) found.set(part, (found.get(part) ?? new Set()).add(key));
  return found;
}

test('forwards, backwards and across', () => {
  fc.assert(
    fc.property(desiredSequence(8), fc.array(fc.nat(8), { minLength: 5, maxLength: 20 }), (states, order) => {
      const find = followNicsBy(partsOf);
      for (const index of order) {
        const state = states[index % states.length] ?? expect.unreachable();
        expect(find(state)).toEqual(lookedUp(state));
      }
    }),
    { numRuns: 60 },
  );
});
