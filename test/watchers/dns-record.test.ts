/** For how long answers hold, and what failures change. */
import { describe, expect, it } from 'vitest';
import type { LookupResult, Told } from '../../watchers/dns-lookup.ts';
import { type DnsRecord, learnAnswer, MOST_ADDRESSES, NOTHING_KNOWN, withoutEnded } from '../../watchers/dns-record.ts';

const [A, B, SIX] = ['203.0.113.80', '203.0.113.81', '2001:db8:ffff::80'];
const HOUR = 3_600_000;
const LASTING = { keepMs: 6 * HOUR, holdMs: HOUR, spread: 0 };
const START = 1_000_000_000;

const some = (ttl: number, ...addresses: string[]): Told => ({
  kind: 'answer',
  addresses: addresses.map((address) => ({ address, ttl })),
});
const NONE = some(0);
const FAILED: Told = { kind: 'failure', why: 'ETIMEOUT' };
const BOTH_FAILED: LookupResult = { 4: FAILED, 6: FAILED };

const learn = (before: DnsRecord, told: LookupResult, at: number, lasting: Partial<typeof LASTING> = {}): DnsRecord =>
  learnAnswer(before, told, { ...LASTING, ...lasting, now: START + at });

const listOf = ({ addresses }: DnsRecord): string[] => addresses.map(({ address }) => address).sort();
const waitOf = ({ next }: DnsRecord, at: number): number => next - START - at;

const first = learn(NOTHING_KNOWN, { 4: some(300, A), 6: some(60, SIX) }, 0);

describe('an answer', () => {
  it('holds both families, and is asked for again when the shorter TTL ends', () => {
    expect(listOf(first)).toEqual([SIX, A].sort());
    expect(waitOf(first, 0)).toBe(60_000);
  });

  it.each([
    [0, 10_000],
    [1, 10_000],
    [300, 300_000],
    [86_400, HOUR],
  ])('with a TTL of %i s is asked for again after %i ms', (ttl, wait) => {
    expect(waitOf(learn(NOTHING_KNOWN, { 4: some(ttl, A), 6: NONE }, 0), 0)).toBe(wait);
  });

  it('without an address is asked for again after a minute', () => {
    expect(waitOf(learn(NOTHING_KNOWN, { 4: NONE, 6: NONE }, 0), 0)).toBe(60_000);
  });

  it.each([
    ['a little before its hour ends', HOUR - 1, {}, [A, B]],
    ['no longer after it', HOUR, {}, [B]],
    ['as long as its TTL, where nothing else holds it', 300_000 - 1, { holdMs: 0 }, [A, B]],
    ['no longer than its TTL, where nothing else holds it', 300_000, { holdMs: 0 }, [B]],
  ])('that another one replaced stays: %s', (_, at, lasting, expected) => {
    expect(listOf(learn(first, { 4: some(300, B), 6: NONE }, at, lasting)).filter((one) => one !== SIX)).toEqual(
      expected,
    );
  });

  it('is asked for again when the first address has to go', () => {
    const later = learn(first, { 4: some(3600, B), 6: NONE }, HOUR - 20_000);
    expect(waitOf(later, HOUR - 20_000)).toBe(20_000);
  });

  it('of thousands of addresses fills no set', () => {
    const flood = Array.from({ length: 5000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
    expect(learn(first, { 4: some(60, ...flood), 6: NONE }, 1000).addresses).toHaveLength(MOST_ADDRESSES);
  });
});

describe('a failure', () => {
  it('keeps what was known until the bound, and asks ever more rarely', () => {
    let record = first;
    const waits: number[] = [];
    for (let at = 1000; at < 6 * HOUR; at += waits.at(-1) ?? 0) {
      record = learn(record, BOTH_FAILED, at);
      waits.push(waitOf(record, at));
      expect(listOf(record)).toEqual([SIX, A].sort());
      expect(record.answered).toBe(START);
    }
    expect(waits.slice(0, 8)).toEqual([5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    expect(learn(record, BOTH_FAILED, 6 * HOUR)).toMatchObject({ addresses: [], error: 'ETIMEOUT' });
  });

  it('keeps an address longer whose own TTL is longer', () => {
    const long = learn(NOTHING_KNOWN, { 4: some(86_400, A), 6: NONE }, 0);
    expect(listOf(learn(long, BOTH_FAILED, 23 * HOUR))).toEqual([A]);
  });

  it('of one family keeps that one, and the other is learnt', () => {
    const mixed = learn(first, { 4: some(300, B), 6: FAILED }, 2 * HOUR);
    expect(listOf(mixed)).toEqual([SIX, B].sort());
    expect(mixed).toMatchObject({ failures: 1, error: 'ETIMEOUT', answered: START + 2 * HOUR });
  });

  it('is over with the next answer', () => {
    const failed = learn(first, BOTH_FAILED, 1000);
    expect(learn(failed, { 4: some(300, A), 6: NONE }, 2000)).toMatchObject({ failures: 0, error: null });
  });

  it('before any answer knows nothing', () => {
    expect(learn(NOTHING_KNOWN, BOTH_FAILED, 0)).toMatchObject({ addresses: [], answered: null });
  });
});

it('a clock that was set back makes no address last longer than from now', () => {
  const back = learn(first, BOTH_FAILED, -10 * HOUR);
  expect(listOf(learn(back, BOTH_FAILED, -10 * HOUR + 6 * HOUR - 1))).toEqual([SIX, A].sort());
  expect(listOf(learn(back, BOTH_FAILED, -10 * HOUR + 6 * HOUR))).toEqual([]);
  expect(waitOf(back, -10 * HOUR)).toBeLessThanOrEqual(HOUR);
});

it('what an earlier run left counts from when it was seen', () => {
  expect(listOf(withoutEnded(first, START + 6 * HOUR - 1, 6 * HOUR))).toEqual([SIX, A].sort());
  expect(listOf(withoutEnded(first, START + 6 * HOUR, 6 * HOUR))).toEqual([]);
});

it('is asked for at once where nothing of an earlier run is left', () => {
  expect(withoutEnded(first, START + 1, 6 * HOUR).next).toBe(first.next);
  expect(withoutEnded(learn(NOTHING_KNOWN, BOTH_FAILED, 0), START + 1, 6 * HOUR).next).toBe(0);
});
