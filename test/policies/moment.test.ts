import { describe, expect, it } from 'vitest';
import { formatDuration, formatMoment, parseMoment } from '../../policies/moment.ts';

describe('a moment', () => {
  it.each([
    ['2027-01-31T00:00:00Z', '2027-01-31T00:00:00Z'],
    ['2027-01-31 00:00:00z', '2027-01-31T00:00:00Z'],
    ['2027-01-31T00:00:00+02:00', '2027-01-30T22:00:00Z'],
    ['2027-01-31T00:00:00-05:30', '2027-01-31T05:30:00Z'],
    ['2028-02-29T23:59:59.999Z', '2028-02-29T23:59:59Z'],
    ['1970-01-01T00:00:00+02:00', '1970-01-01T00:00:00Z'],
  ])('%s is %s', (text, same) => {
    const moment = parseMoment(text);
    expect(typeof moment === 'number' ? formatMoment(moment) : moment).toBe(same);
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 s'],
    [-5, '0 s'],
    [59.6, '1 min'],
    [61, '1 min 1 s'],
    [3600, '1 h'],
    [3 * 86_400 + 4 * 3600 + 59 * 60, '3 d 4 h'],
    [86_400 + 59, '1 d'],
  ])('of %d seconds reads as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
