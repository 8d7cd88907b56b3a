/** A file that was refused is written again, and only what is to be kept now. */
import { beforeEach, expect, test, vi } from 'vitest';
import { TakenKeeper } from '../../../controller/probe/taken-keeper.ts';
import { parseAddress } from '../../../render/address.ts';
import { certain, veth } from '../states.ts';

const TAKEN = new Map([
  [certain(parseAddress('192.0.2.50')), { dev: veth('eth0'), mac: '02:00:00:00:00:99', veth: 'veth1' }],
]);

let sizes: number[];
let keeper: TakenKeeper;
let isFull: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  sizes = [];
  isFull = true;
  keeper = new TakenKeeper({
    log: () => undefined,
    write: ({ size }) => {
      sizes.push(size);
      if (isFull) throw new Error('no');
    },
  });
  return () => void vi.useRealTimers();
});

test('at doubled times, until it is taken', async () => {
  keeper.keep(TAKEN);
  await vi.advanceTimersByTimeAsync(1_750);
  expect(sizes).toEqual([1, 1, 1, 1]);
  isFull = false;
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(sizes).toEqual([1, 1, 1, 1, 1]);
});

test('no older one takes the place of what is to be kept now', async () => {
  keeper.keep(TAKEN);
  keeper.keep(new Map());
  isFull = false;
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(sizes).toEqual([1, 0, 0]);
});

test('not behind the end', async () => {
  keeper.keep(TAKEN);
  keeper.stop();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(sizes).toEqual([1]);
});
