/** What is said of files that wait. */
import { expect, test } from 'vitest';
import { describeWaiting } from '../../../controller/revisions/describe-waiting.ts';

test.each([
  [1, 'f0 differs from what is in force and waits until it changes again, or for routewall apply: it was taken back'],
  [
    2,
    'f0, f1 differ from what is in force and wait until they change again, or for routewall apply: they were taken back',
  ],
  [5, 'f0, f1, f2 and 2 more differ from what is in force and wait until they change again, '],
])('%i that were taken back', (count, text) => {
  const files = Array.from({ length: count }, (_, index) => `f${index}`);
  expect(describeWaiting(files, 'refused')).toContain(text);
});
