/** What is rendered piece by piece is what is rendered whole, and without some NICs what the others have. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { leaveOut } from '../../render/leave-out.ts';
import { sortListing } from '../../render/listing.ts';
import { chainNaming, renderDesired, renderInPieces, renderNics } from '../../render/nft.ts';
import { atOnce } from '../../render/pieces.ts';
import { diffRulesets } from '../../render/transaction.ts';
import { caseNames, runCase } from '../cases/golden-case.ts';
import { desiredSequence } from './random-desired.ts';

const nameOf = chainNaming(chainHash);
const piecewise = (state: DesiredState, without?: ReadonlySet<NicState>) =>
  atOnce(renderInPieces(state, nameOf, without, 1));

it.each(caseNames())('case %s', async (name) => {
  const { assembled, ruleset } = await runCase(name);
  expect(diffRulesets(piecewise(assembled.desired), ruleset)).toEqual([]);
  expect(sortListing(piecewise(assembled.desired))).toEqual(sortListing(ruleset));
});

it('any state, and any state with some NICs left out on both sides', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(desiredSequence(2), fc.integer({ min: 1, max: 3 }), (states, each) => {
      for (const state of states) {
        const whole = renderDesired(state, nameOf);
        expect(sortListing(piecewise(state))).toEqual(sortListing(whole));
        const others = new Set([...state.nics.values()].filter((_, index) => index % (each + 1) === 0));
        const kept = piecewise(state, others);
        const left = atOnce(leaveOut(whole, renderNics(state, [...others], nameOf), kept));
        expect(sortListing(left)).toEqual(sortListing(kept));
      }
    }),
    { numRuns: 60 },
  );
});
