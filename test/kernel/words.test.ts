/** What is said about a change between two rulesets, by a real nft's listing and by what a daemon knows: the words in fixtures/words. */
import { expect, test } from 'vitest';
import { nameOf } from '../../controller/apply/apply.ts';
import { run } from '../../controller/commands/run.ts';
import { readFlowChanges } from '../../controller/explain/flow-changes.ts';
import { listedByNft } from '../../controller/kernel/listed-chains.ts';
import { listElsewhere } from '../../controller/kernel/observe.ts';
import type { HostInputs } from '../../controller/pass/assemble.ts';
import { readFlowsBetween } from '../../controller/revisions/flows-between.ts';
import { renderDesired } from '../../render/nft.ts';
import { assembleBoth, tell, wordsCases } from '../policies/flows/words-case.ts';

async function wordsOf({ before, after }: ReturnType<typeof assembleBoth>, inputs: HostInputs) {
  const [observed, expected] = await Promise.all(
    [before, after].map(({ desired }) => listElsewhere(run, renderDesired(desired, nameOf))),
  );
  if (observed === undefined || expected === undefined) throw new Error('no listing');
  return tell(
    readFlowChanges(
      { observed: listedByNft(observed), expected: listedByNft(expected) },
      after,
      inputs.loaded,
      inputs.now,
    ),
  );
}

const knownWordsOf = ({ before, after }: ReturnType<typeof assembleBoth>, { loaded, now }: HostInputs): string =>
  tell(readFlowsBetween(before.desired, after.desired, after, loaded, now));

const cases = wordsCases();

test.each(cases.map((one) => [one.name, one.about, one] as const))('%s: %s', async (_name, _about, one) => {
  const both = assembleBoth(one);
  expect(await wordsOf(both, one.after)).toBe(one.words);
  expect(knownWordsOf(both, one.after)).toBe(one.words);
});

test('what the kernel ended by itself is no loss', async () => {
  const one = cases.find(({ name }) => name.endsWith('-over-already'));
  if (one === undefined) throw new Error('there is no such pair');
  const earlier = { ...one, before: { ...one.before, now: Date.parse('2024-06-01T00:00:00Z') } };
  const both = assembleBoth(earlier);
  expect(await wordsOf(both, one.after)).toBe(one.words);
  expect(knownWordsOf(both, one.after)).toBe(one.words);
});
