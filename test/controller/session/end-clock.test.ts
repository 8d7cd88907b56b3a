import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEndClock } from '../../../controller/session/end-clock.ts';

const START = Date.parse('2026-11-25T12:00:00Z');
const inSeconds = (seconds: number): number => START / 1000 + seconds;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

function watched(...ends: number[]) {
  let calls = 0;
  const clock = createEndClock(() => {
    calls += 1;
  });
  clock.watch(ends, Date.now());
  return { clock, calls: () => calls };
}

describe('a rule that ends', () => {
  it('is told of at the moment, and not before', () => {
    const { calls } = watched(inSeconds(90), inSeconds(5000));
    vi.advanceTimersByTime(89_999);
    expect(calls()).toBe(0);
    vi.advanceTimersByTime(1);
    expect(calls()).toBe(1);
  });

  it('may do so in years, which no timer can count', () => {
    const { calls } = watched(inSeconds(3 * 365 * 86_400));
    vi.advanceTimersByTime(40 * 86_400_000);
    expect(calls()).toBe(0);
  });

  it('is noticed within a minute where the clock jumps over its end', () => {
    const { calls } = watched(inSeconds(86_400));
    vi.setSystemTime(START + 2 * 86_400_000);
    vi.advanceTimersByTime(60_000);
    expect(calls()).toBe(1);
  });

  it('comes back within a minute where the clock is set back before its end', () => {
    const { calls } = watched(inSeconds(-10));
    vi.setSystemTime(START - 3_600_000);
    vi.advanceTimersByTime(60_000);
    expect(calls()).toBe(1);
  });

  it('is told of at once where it ended while the rules were being applied', () => {
    vi.setSystemTime(START + 5000);
    let calls = 0;
    createEndClock(() => {
      calls += 1;
    }).watch([inSeconds(3)], START);
    expect(calls).toBe(1);
  });
});

it('looks at no clock where no rule ends, and stops when it is told to', () => {
  const { clock } = watched();
  expect(vi.getTimerCount()).toBe(0);
  clock.watch([inSeconds(10)], Date.now());
  expect(vi.getTimerCount()).toBe(1);
  clock.stop();
  expect(vi.getTimerCount()).toBe(0);
});
