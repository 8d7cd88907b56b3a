/** A resync that no event asked for comes when nobody starts, and not too late where somebody always does. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { Wrong } from '../../../controller/pass/resync-look.ts';
import { RegularResync } from '../../../controller/session/regular-resync.ts';
import { createTimers } from '../../../controller/timers.ts';

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

function start(findWrong: () => Promise<Wrong | undefined>): RegularResync {
  const regular = new RegularResync({
    ...{ timers: createTimers(), periodMs: PERIOD_MS, findWrong },
    ...{ onSame: () => note('same'), request: (wrong) => note(wrong) },
  });
  regular.begin();
  return regular;
}

type Answer = () => Promise<Wrong | undefined>;
const answering = (...answers: Answer[]): Answer => {
  return async () => await answers.shift()?.();
};
const same: Answer = async () => undefined;
const anything: Answer = async () => 'anything';
const kernel: Answer = async () => 'kernel';

test('it is made once a period, and not where all is as it was, or nothing can be told', async () => {
  start(answering(anything, same, () => Promise.reject(new Error('hangs'))));
  await vi.advanceTimersByTimeAsync(4 * PERIOD_MS);
  expect(told).toEqual(['anything after 60000', 'same after 120000', 'anything after 180000', 'same after 240000']);
});

test('what the kernel lacks for a moment only is nothing', async () => {
  start(answering(kernel, same, kernel, kernel));
  await vi.advanceTimersByTimeAsync(2 * PERIOD_MS);
  expect(told).toEqual(['same after 60000', 'kernel after 120000']);
});

test('it waits until nobody has started for a second', async () => {
  const regular = start(anything);
  await vi.advanceTimersByTimeAsync(PERIOD_MS - 100);
  regular.noteStart();
  await vi.advanceTimersByTimeAsync(900);
  regular.noteStart();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(['anything after 62000']);
});

test('where somebody always starts it waits for half of its period, and is made once', async () => {
  const regular = start(anything);
  const starts = setInterval(() => regular.noteStart(), 100);
  await vi.advanceTimersByTimeAsync(2 * PERIOD_MS - 1);
  clearInterval(starts);
  expect(told).toEqual(['anything after 90000']);
});

test('one that was put aside is made again only where something is wrong, and then until it has come to its end', async () => {
  const regular = start(answering(same, kernel, kernel, same));
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  regular.noteCompared();
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['same', 'kernel', 'kernel', 'same'].map((what) => `${what} after 0`));
});

test('one that was put aside waits for nobody who starts, once it is known that something is wrong', async () => {
  const regular = start(answering(anything, kernel, kernel));
  const starts = setInterval(() => regular.noteStart(), 100);
  await vi.advanceTimersByTimeAsync(PERIOD_MS + 100);
  regular.retry();
  await vi.advanceTimersByTimeAsync(200);
  regular.noteCompared();
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  clearInterval(starts);
  expect(told).toEqual(['anything after 60250', 'kernel after 60300']);
});

test('one that was put aside while somebody looks is looked for once more: that look may have begun before', async () => {
  let end = (_: Wrong | undefined): void => undefined;
  let looks = 0;
  const regular = start(async () => {
    looks++;
    return await new Promise<Wrong | undefined>((resolve) => {
      end = resolve;
    });
  });
  const endLook = async (): Promise<void> => {
    end(undefined);
    await vi.advanceTimersByTimeAsync(0);
  };
  regular.retry();
  regular.retry();
  await endLook();
  regular.retry();
  await endLook();
  await endLook();
  expect([looks, told]).toEqual([3, ['same after 0', 'same after 0']]);
});

test('what nobody told of is looked for at once', async () => {
  const regular = start(answering(kernel, kernel, same));
  regular.noteUntold();
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['kernel after 0']);
  regular.noteUntold();
  await vi.advanceTimersByTimeAsync(0);
  expect(told.slice(1)).toEqual(['same after 0']);
});

test('what nobody told of is read with everything where no look comes to its end, as while passes never do', async () => {
  const regular = start(() => new Promise(() => undefined));
  regular.noteUntold();
  await vi.advanceTimersByTimeAsync(PERIOD_MS / 3);
  regular.noteUntold();
  await vi.advanceTimersByTimeAsync(PERIOD_MS);
  expect(told).toEqual(['anything after 30000', 'anything after 50000']);
});

test('everything is read and compared where no regular look comes to its end', async () => {
  start(() => new Promise(() => undefined));
  await vi.advanceTimersByTimeAsync(3 * PERIOD_MS);
  expect(told).toEqual(['anything after 90000', 'anything after 150000']);
});

test('what nobody told of while one waits for who starts is read with everything', async () => {
  const regular = start(kernel);
  const starts = setInterval(() => regular.noteStart(), 100);
  await vi.advanceTimersByTimeAsync(PERIOD_MS + 100);
  regular.noteUntold();
  await vi.advanceTimersByTimeAsync(200);
  clearInterval(starts);
  expect(told).toEqual(['anything after 60250']);
});

test('what no look would miss is compared whatever one says', async () => {
  const regular = start(same);
  regular.noteWrong();
  regular.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['kernel after 0']);
});

test('who starts goes before a comparison, and for no more than a second', async () => {
  const regular = start(same);
  const postponed: boolean[] = [];
  for (let at = 0; at < 2_000; at += 500) {
    postponed.push(regular.postpones(true));
    await vi.advanceTimersByTimeAsync(500);
  }
  postponed.push(regular.postpones(false), regular.postpones(true));
  expect(postponed).toEqual([true, true, false, true, false, true]);
});
