/** A pass that fails is tried again, soon and then ever more rarely, whatever events ask for passes meanwhile. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { DirtyParts } from '../../../controller/pass/dirty.ts';
import type { Outcome } from '../../../controller/pass/outcome.ts';
import { Passes } from '../../../controller/session/passes.ts';
import { SessionReadings } from '../../../controller/session/readings.ts';
import { RegularResync } from '../../../controller/session/regular-resync.ts';
import { SessionEnded } from '../../../controller/session/session-ended.ts';
import { createTimers } from '../../../controller/timers.ts';

interface Tried {
  readonly afterMs: number;
  readonly resync: boolean;
  readonly starts: number;
}

let tried: Tried[];
let begin: number;

beforeEach(() => {
  vi.useFakeTimers();
  tried = [];
  begin = performance.now();
  return () => void vi.useRealTimers();
});

/** Fails until `isMended`. */
function startPasses(isMended: () => boolean = () => false): Passes {
  const timers = createTimers();
  const ignored = (): void => undefined;
  const reconcile = async ({ resync, runtimes }: DirtyParts): Promise<Outcome> => {
    // Each pass takes a turn of the loop, which counts a millisecond here.
    tried.push({ afterMs: 10 * Math.round((performance.now() - begin) / 10), resync, starts: runtimes.size });
    if (!isMended()) throw new Error('no');
    return { isCompared: resync, unread: undefined } as unknown as Outcome;
  };
  const passes: Passes = new Passes({
    reconciler: { reconcile },
    readings: new SessionReadings({
      ...{ timers, log: ignored, onUnread: ignored, compareAgain: ignored },
      mark: () => passes.mark(),
    }),
    regular: new RegularResync({
      ...{ timers, periodMs: 3_600_000, findWrong: async () => undefined, onSame: ignored, request: ignored },
    }),
    ...{ timers, log: ignored, isReady: () => true, isEnforced: () => true },
    ...{ onOutcome: async () => undefined, onFailure: ignored, onConfigChanged: ignored },
  });
  return passes;
}

const start = (passes: Passes, name: string): void => {
  passes.mark().runtimes.set(name, { lxcPath: '/lxc', name });
};

test('without an event, at doubled times', async () => {
  startPasses().request();
  await vi.advanceTimersByTimeAsync(3_100);
  expect(tried.map(({ afterMs }) => afterMs)).toEqual([0, 200, 600, 1400, 3000]);
});

test('not at once for the comparison that it left to the next one', async () => {
  const passes = startPasses();
  passes.request();
  await vi.advanceTimersByTimeAsync(10);
  start(passes, 'one');
  await vi.advanceTimersByTimeAsync(100);
  expect(tried.map(({ resync }) => resync)).toEqual([true, false]);
});

test('events bring a try of their own, and put the next one off no further', async () => {
  const passes = startPasses(() => performance.now() - begin > 550);
  passes.request();
  for (let each = 0; each < 10; each += 1) {
    await vi.advanceTimersByTimeAsync(10);
    start(passes, String(each));
  }
  await vi.advanceTimersByTimeAsync(3_000);
  const last = tried.slice(11).map(({ afterMs, resync, starts }) => ({ afterMs, resync, starts }));
  expect(last).toEqual([
    { afterMs: 200, resync: false, starts: 10 },
    { afterMs: 600, resync: false, starts: 10 },
    { afterMs: 600, resync: true, starts: 0 },
  ]);
});

test('what nobody waits for comes together, and is taken along by who has somebody waiting', async () => {
  const passes = startPasses(() => true);
  passes.request();
  await vi.advanceTimersByTimeAsync(200);
  const end = (name: string): void => void passes.markLater().runtimes.set(name, { lxcPath: '/lxc', name });
  for (const name of ['one', 'two', 'three']) {
    end(name);
    expect(passes.isSettled).toBe(false);
    await vi.advanceTimersByTimeAsync(10);
  }
  await vi.advanceTimersByTimeAsync(100);
  end('four');
  start(passes, 'five');
  await vi.advanceTimersByTimeAsync(100);
  expect(tried.slice(1).map(({ starts }) => starts)).toEqual([3, 2]);
});

test('who waits for the last pass has what was to come by and by', async () => {
  const passes = startPasses(() => true);
  passes.markLater().runtimes.set('one', { lxcPath: '/lxc', name: 'one' });
  const idle = passes.idle();
  await vi.advanceTimersByTimeAsync(10);
  await idle;
  expect(tried[0]?.starts).toBe(1);
});

test('whoever comes behind the end is told so, as who still waited', async () => {
  const passes = startPasses();
  passes.close();
  const told = [passes.next()];
  passes.reject(new SessionEnded());
  told.push(passes.next());
  for (const each of told) await expect(each).rejects.toThrow(SessionEnded);
});
