/** A resync that no event asked for comes when nobody starts, and not too late where somebody always does. */
import { beforeEach, expect, test, vi } from 'vitest';
import { RegularResync } from '../../controller/regular-resync.ts';
import { createTimers } from '../../controller/timers.ts';

const PERIOD_MS = 60_000;
const told: string[] = [];
let begin: number;

const note = (what: string): void => void told.push(`${what} after ${Math.round(performance.now() - begin)}`);

beforeEach(() => {
  vi.useFakeTimers();
  told.length = 0;
  begin = performance.now();
  return () => void vi.useRealTimers();
});

function start(isRight: () => Promise<boolean>): RegularResync {
  const regular = new RegularResync({
    ...{ timers: createTimers(), periodMs: PERIOD_MS, isRight },
    ...{ onSame: () => note('same'), request: () => note('resync') },
  });
  regular.begin();
  return regular;
}

test('it is made once a period, and not where all is as it was, or nothing can be told', async () => {
  const answers = [async () => false, async () => true, () => Promise.reject(new Error('hangs'))];
  start(async () => (await answers.shift()?.()) ?? true);
  await vi.advanceTimersByTimeAsync(4 * PERIOD_MS);
  expect(told).toEqual(['resync after 60000', 'same after 120000', 'resync after 180000', 'same after 240000']);
});

test('it waits until nobody has started for a second', async () => {
  const regular = start(async () => false);
  await vi.advanceTimersByTimeAsync(PERIOD_MS - 100);
  regular.noteStart();
  await vi.advanceTimersByTimeAsync(900);
  regular.noteStart();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(['resync after 62000']);
});

test('where somebody always starts it waits for half of its period, and is made once', async () => {
  const regular = start(async () => false);
  const starts = setInterval(() => regular.noteStart(), 100);
  await vi.advanceTimersByTimeAsync(2 * PERIOD_MS - 1);
  clearInterval(starts);
  expect(told).toEqual(['resync after 90000']);
});
