import { expect, it } from 'vitest';
import { createPassQueue } from '../../../controller/session/pass-queue.ts';

/** A pass that ends when it is told to. */
function heldPass() {
  const begun: (() => void)[] = [];
  const pass = () => new Promise<void>((resolve) => void begun.push(resolve));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const untilBegun = async (count: number): Promise<void> => {
    while (begun.length < count) await turn();
  };
  return { pass, begun, turn, untilBegun };
}

it('makes one pass of many requests', async () => {
  const { pass, begun, untilBegun } = heldPass();
  const queue = createPassQueue(pass);
  for (let count = 0; count < 1000; count += 1) queue.request();
  await untilBegun(1);
  begun[0]?.();
  await queue.idle();
  expect(begun).toHaveLength(1);
});

it('makes one more pass of what is asked for while one runs, and never two at once', async () => {
  const { pass, begun, turn, untilBegun } = heldPass();
  const queue = createPassQueue(pass);
  queue.request();
  await untilBegun(1);
  queue.request();
  queue.request();
  for (let count = 0; count < 10; count += 1) await turn();
  expect(begun).toHaveLength(1);
  begun[0]?.();
  await untilBegun(2);
  begun[1]?.();
  await queue.idle();
  expect(begun).toHaveLength(2);
});

it('begins no pass after it was closed, also where one was asked for just before', async () => {
  const { pass, begun, turn } = heldPass();
  const queue = createPassQueue(pass);
  queue.request();
  queue.close();
  queue.request();
  await queue.idle();
  await turn();
  expect(begun).toHaveLength(0);
});

it('is idle only once the pass under way has ended', async () => {
  const { pass, begun, turn, untilBegun } = heldPass();
  const queue = createPassQueue(pass);
  queue.request();
  await untilBegun(1);
  let idle = false;
  const waiting = queue.idle().then(() => {
    idle = true;
  });
  queue.close();
  await turn();
  expect(idle).toBe(false);
  begun[0]?.();
  await waiting;
});
