/** What puts a reading aside, for how long, and who is told. */
import { beforeEach, expect, test, vi } from 'vitest';
import { Unread } from '../../../controller/commands/reading.ts';
import { Patience, type Waiting } from '../../../controller/pass/patience.ts';

const told: string[] = [];
const pauses: { readonly ms: number; readonly end: () => void }[] = [];
let unread = 0;
let again = 0;

const make = (): Patience =>
  new Patience({
    what: 'it',
    log: (severity, text) => void told.push(`${severity}: ${text}`),
    timers: { after: (ms, end) => void pauses.push({ ms, end }), every: () => undefined, stop: () => undefined },
    onUnread: () => void unread++,
    again: () => void again++,
  });

beforeEach(() => {
  vi.useFakeTimers();
  told.length = pauses.length = unread = again = 0;
  return () => void vi.useRealTimers();
});

/** Ends when it is put aside. */
const hanging = (signal?: AbortSignal): Promise<object> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
const failing = (): Promise<object> => Promise.reject(new Unread('exit status 1'));
const ended = async (): Promise<object> => ({});

const endPause = (): void => pauses.shift()?.end();

/** @returns the milliseconds until it is put aside, or `undefined` if it isn't within two minutes. */
async function lasts(patience: Patience, whoWaits = (): Waiting => 'container'): Promise<number | undefined> {
  let took: number | undefined;
  const begin = performance.now();
  void patience.read(whoWaits, hanging).then(() => {
    took = performance.now() - begin;
  });
  await vi.advanceTimersByTimeAsync(120_000);
  return took;
}

test('one that hangs is put aside for who waits, each time after twice as long', async () => {
  const patience = make();
  const took: (number | undefined)[] = [];
  for (let times = 0; times < 8; times++) {
    took.push(await lasts(patience));
    endPause();
  }
  expect(took).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  expect([unread, again]).toEqual([8, 8]);
  expect(told.slice(0, 2)).toEqual([
    'info: it: a container waits, and it is put aside; again in 1000 ms',
    'warning: it: a container waits, and it is put aside; again in 2000 ms',
  ]);
});

test('rules that are gone wait for no first one, and let one come to its end at last', async () => {
  const patience = make();
  const from = performance.now() + 10_000;
  const took = [await lasts(patience, () => (performance.now() >= from ? 'rules' : 'nobody'))];
  for (let times = 0; times < 4; times++) {
    endPause();
    took.push(await lasts(patience, () => 'rules'));
  }
  expect(took).toEqual([10_000, 1_000, 3_000, 7_000, 15_000]);
  expect(told[0]).toBe('info: it: the rules are gone, and it is put aside; again in 1000 ms');
});

test('one that nobody waits for is not', async () => {
  expect(await lasts(make(), () => 'nobody')).toBe(undefined);
});

test('who comes late has waited already', async () => {
  const patience = make();
  const from = performance.now() + 10_000;
  expect(await lasts(patience, () => (performance.now() >= from ? 'container' : 'nobody'))).toBe(10_000);
});

test('since when and why one is unread is known until it comes to its end', async () => {
  vi.setSystemTime('2026-01-02T03:04:05Z');
  const patience = make();
  expect(patience.unread).toBe(undefined);
  await patience.read(() => 'nobody', failing);
  endPause();
  vi.setSystemTime('2026-01-02T03:09:00Z');
  await lasts(patience);
  const since = '2026-01-02T03:04:05.000Z';
  expect(patience.unread).toEqual({ what: 'it', since, why: 'a container waits, and it is put aside' });
  // What is not even asked in the pause says nothing.
  await patience.read(() => 'nobody', ended);
  expect(patience.unread?.since).toBe(since);
  endPause();
  await patience.read(() => 'nobody', ended);
  expect(patience.unread).toBe(undefined);
});

test('one that ends has the first patience again the next time', async () => {
  const patience = make();
  await lasts(patience);
  endPause();
  expect(await patience.read(() => 'container', ended)).toEqual({});
  expect(await lasts(patience)).toBe(1_000);
});

test('one that fails is told, and made again ever more rarely until it ends', async () => {
  const patience = make();
  const waited: (number | undefined)[] = [];
  for (let times = 0; times < 10; times++) {
    expect(await patience.read(() => 'nobody', failing)).toBe(undefined);
    waited.push(pauses[0]?.ms);
    endPause();
  }
  expect(waited).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  expect(told[0]).toBe('error: it: exit status 1; again in 200 ms');
  await patience.read(() => 'nobody', ended);
  await patience.read(() => 'nobody', failing);
  expect(pauses[0]?.ms).toBe(200);
});

test('in the pause nobody waits for it again, and it is asked for once', async () => {
  const patience = make();
  await lasts(patience);
  expect(patience.begin(() => 'nobody').aborted).toBe(true);
  patience.end(new Unread('in a pause'));
  expect([pauses.length, unread, told.length]).toEqual([1, 1, 1]);
  endPause();
  expect(patience.begin(() => 'nobody').aborted).toBe(false);
  patience.stop();
});

test('what goes wrong otherwise is thrown', async () => {
  await expect(
    make().read(
      () => 'container',
      () => Promise.reject(new TypeError('a mistake')),
    ),
  ).rejects.toThrow('a mistake');
});
