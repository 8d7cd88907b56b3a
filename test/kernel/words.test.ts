/** What preview says about a change between two rulesets that a real nft lists: the words in fixtures/words. */
import { expect, test } from 'vitest';
import { nameOf } from '../../controller/apply.ts';
import { readFlowChanges } from '../../controller/flow-changes.ts';
import { listElsewhere } from '../../controller/observe.ts';
import { run } from '../../controller/run.ts';
import { renderDesired } from '../../render/nft.ts';
import { assembleBoth, tell, wordsCases } from '../policies/flows/words-case.ts';

test.each(wordsCases().map((one) => [one.name, one.about, one] as const))('%s: %s', async (_name, _about, one) => {
  const { before, after } = assembleBoth(one);
  const [observed, expected] = await Promise.all(
    [before, after].map(({ desired }) => listElsewhere(run, renderDesired(desired, nameOf))),
  );
  if (observed === undefined || expected === undefined) throw new Error('no listing');
  const words = tell(readFlowChanges({ observed, expected }, after, one.after.loaded));
  expect(words).toBe(one.words);
});
