import { expect, it } from 'vitest';
import { parseLimit } from '../../policies/rate-limit.ts';
import { over, uncountable } from '../../render/iptables/xt-limits.ts';

const DAYS = 'iptables counts back one day at most, and so not';

it.each([
  ['1/day', `${DAYS} 5 at once of 1/day: write "1/day burst 1"`],
  ['1/day burst 1', undefined],
  ['4/day', `${DAYS} 5 at once of 4/day: write "4/day burst 4"`],
  ['5/day', undefined],
  ['1/hour burst 24', undefined],
  ['1/hour burst 25', `${DAYS} 25 at once of 1/hour: write "1/hour burst 24"`],
  ['20/second burst 40', undefined],
  ['1/second burst 86401', `${DAYS} 86401 at once of 1/second: write "1/second burst 86400"`],
  ['1000000/second burst 5000000', undefined],
])('%s: %s', (text, told) => {
  const limit = parseLimit(text);
  if (typeof limit === 'string') throw new Error(limit);
  expect(uncountable(limit)).toBe(told);
});

// What routewall.yaml says of logs and connections is about every container, and must shut none of them.
it('counts as far back as it can where nobody asked for more', () => {
  expect(over('1/day', 2, [])).toContain('--hashlimit-above 1/day --hashlimit-burst 1 ');
});
