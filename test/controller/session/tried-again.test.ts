/** What is refused is tried again soon, and then ever more rarely; once it was taken, soon again. */
import { beforeEach, expect, test, vi } from 'vitest';
import { type DirtyParts, nothingDirty } from '../../../controller/pass/dirty.ts';
import { refusedFiles } from '../../../controller/session/refused-files.ts';
import { type Refusable, tryAgain } from '../../../controller/session/tried-again.ts';
import { createTimers, type Timers } from '../../../controller/timers.ts';

let timers: Timers;
let begin: number;

beforeEach(() => {
  vi.useFakeTimers();
  timers = createTimers();
  begin = performance.now();
  return () => void vi.useRealTimers();
});

const secondsGone = (): number => Math.round((performance.now() - begin) / 1000);
const NONE = { policies: new Set<string>(), configs: new Map(), leases: false };

test('at doubled times, a minute at most', async () => {
  const tried: number[] = [];
  tryAgain(timers, { isRefused: () => true, again: () => tried.push(secondsGone()) });
  await vi.advanceTimersByTimeAsync(250_000);
  expect(tried).toEqual([2, 4, 8, 16, 32, 64, 124, 184, 244]);
});

test('from the beginning, once it was taken', async () => {
  const tried: number[] = [];
  const isRefused = (): boolean => secondsGone() < 20 || secondsGone() > 41;
  tryAgain(timers, { isRefused, again: () => tried.push(secondsGone()) });
  await vi.advanceTimersByTimeAsync(46_000);
  expect(tried).toEqual([2, 4, 8, 16, 42, 44]);
});

const one = { lxcPath: '/lxc', name: 'one' };

test.each<[string, Partial<typeof NONE>, boolean, Partial<DirtyParts>]>([
  ['a policy', { policies: new Set(['/p/one.yaml']) }, false, { policies: new Set(['/p/one.yaml']) }],
  [
    "a container's configuration",
    { configs: new Map([['/lxc/one', one]]) },
    false,
    { configs: new Map([['/lxc/one', one]]) },
  ],
  ['leases', { leases: true }, false, { leases: true }],
  ['the main configuration', {}, true, { config: true }],
])('of files, %s alone is read again', async (_, refused, isConfigRefused, read) => {
  const marked: DirtyParts[] = [];
  const mark = (): DirtyParts => {
    const dirty = nothingDirty();
    marked.push(dirty);
    return dirty;
  };
  const files: Refusable = refusedFiles({
    refused: () => ({ ...NONE, ...refused }),
    isConfigRefused: () => isConfigRefused,
    mark,
  });
  tryAgain(timers, files);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(marked).toEqual([{ ...nothingDirty(), ...read }]);
});

test('of files, none that could be read', async () => {
  const mark = (): DirtyParts => {
    throw new Error('a pass is asked for');
  };
  tryAgain(timers, refusedFiles({ refused: () => NONE, isConfigRefused: () => false, mark }));
  await vi.advanceTimersByTimeAsync(60_000);
});
