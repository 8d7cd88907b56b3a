/** Of timers that end together none is left, nor set behind their end. */
import { beforeEach, expect, test, vi } from 'vitest';
import { createTimers } from '../../controller/timers.ts';

beforeEach(() => {
  vi.useFakeTimers();
  return () => void vi.useRealTimers();
});

test('all of them end', () => {
  const told: string[] = [];
  const timers = createTimers();
  const begin = (): void => {
    timers.after(10, () => told.push('once'));
    timers.every(10, () => told.push('again'));
  };
  begin();
  vi.advanceTimersByTime(25);
  expect(told.splice(0)).toEqual(['once', 'again', 'again']);
  timers.stop();
  begin();
  vi.advanceTimersByTime(100);
  expect([told, vi.getTimerCount()]).toEqual([[], 0]);
});
