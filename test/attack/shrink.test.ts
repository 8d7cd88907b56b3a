/** What is printed of a failure is short and still fails: by parts of lists, and by a daemon that is broken on purpose. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Broken, endure } from './chaos.ts';
import { parseSteps, type Step } from './faults.ts';
import { shrink } from './shrink.ts';
import { tellBroken } from './tell-broken.ts';

it('leaves exactly the steps that matter, wherever they stand', async () => {
  const list = fc.uniqueArray(fc.nat(1_000), { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(list, fc.infiniteStream(fc.boolean()), async (steps, coins) => {
      const matter = steps.filter(() => coins.next().value === true);
      const tried: string[] = [];
      const breaks = async (some: readonly number[]): Promise<boolean> => {
        tried.push(some.join());
        return matter.every((one) => some.includes(one));
      };
      expect(await shrink(steps, breaks, () => true)).toEqual(matter);
      expect(tried, 'none is tried twice').toEqual([...new Set(tried)]);
    }),
  );
});

it('gives what it has when the time is over', async () => {
  let tries = 0;
  const breaks = async (): Promise<boolean> => ++tries > 0;
  expect(await shrink([1, 2, 3, 4, 5, 6, 7, 8], breaks, () => tries < 1)).toEqual([5, 6, 7, 8]);
});

const DEAF = fileURLToPath(new URL('deaf.mjs', import.meta.url));

it('names the steps that show a daemon that hears of no policy', async () => {
  // By these seeds the second container that starts is the one that gets another policy. After what makes it compare, such as a
  // hangup, it might find the edit all the same.
  const steps = parseSteps('start 1, start 5, edit 4');
  const options = { brokenBy: DEAF, patience: 1_500 };
  const broken = await endure(steps, options).catch((cause: unknown) => cause);
  if (!(broken instanceof Broken)) throw new Error('a deaf daemon broke nothing', { cause: broken });
  const breaks = (some: readonly Step[]): Promise<boolean> =>
    endure(some, options).then(
      () => false,
      (cause: unknown) => cause instanceof Broken,
    );
  const told = await tellBroken(7, broken, breaks, () => true);
  expect(told.split('\n').slice(0, 4)).toEqual([
    'seed 7, 3 steps, of which these are enough:',
    ...['  start 5', '  edit 4'],
    "ATTACK_CASE='start 5,edit 4'",
  ]);
}, 600_000);
