/** What is told of policies that a tool doesn't take is what it doesn't take. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fewestPolicies, type Numbered } from './fewest-policies.ts';
import { randomPolicy } from './random-policy.ts';

const harmless = fc.sample(randomPolicy, { seed: 7, numRuns: 60 }).map((text, index): Numbered => [index, text]);
const bad = { drop: ['any'], to: ['any'], comment: 'the spoilt one' };
const spoilt = (index: number): Numbered => [
  index,
  JSON.stringify({ egress: { rules: [{ allow: ['any'], to: ['any'] }, bad, { drop: ['any'], to: ['any'] }] } }),
];

test('leaves the policies and the rules alone that it takes, under their own numbers', async () => {
  const policies = [...harmless.slice(0, 23), spoilt(23), ...harmless.slice(24, 41), spoilt(41), ...harmless.slice(42)];
  let tries = 0;
  const breaks = async (some: readonly Numbered[]): Promise<boolean> => {
    tries += 1;
    return some.filter(([, text]) => text.includes('the spoilt one')).length === 2;
  };
  expect(await fewestPolicies(policies, breaks, () => true)).toEqual(
    [23, 41].map((index) => [index, JSON.stringify({ egress: { rules: [bad] } })]),
  );
  expect(tries).toBeLessThan(200);
});
