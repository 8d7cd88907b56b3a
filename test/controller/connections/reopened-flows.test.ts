/** What an answer brings back of a flow that was cut is removed again, while it is still to be cut. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createReopenedFlows } from '../../../controller/connections/reopened-flows.ts';
import { parseTrackedFlow } from '../../../controller/connections/tracked-flows.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }));
afterEach(() => void vi.useRealTimers());

const flow = (protocol: number, handle: string) =>
  parseTrackedFlow(`4 ${protocol} 203.0.113.80 198.51.100.20 53 - ${handle}`);
const flows = [flow(17, '01'), flow(6, '02'), flow(132, '03'), flow(1, '04')];

/** What is done between the looks takes turns of its own. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    await vi.advanceTimersByTimeAsync(100);
    await setImmediate();
  }
}

/** The handles that each call got; `failing`: the first one fails. */
function start(failing = false) {
  const removed: string[] = [];
  const remove = async (handles: readonly string[]) => {
    removed.push(handles.join());
    if (failing && removed.length === 1) throw new Error('killed');
  };
  return { reopened: createReopenedFlows(remove), removed };
}

it.each([false, true])(
  'for some seconds, of protocols that begin with any packet; the first look failing: %s',
  async (failing) => {
    const { reopened, removed } = start(failing);
    reopened.end(flows, () => true);
    await pass(20_000);
    expect(removed).toEqual(['01,03', '01,03', '01,03', '01,03']);
  },
);

it('not what is allowed again by then', async () => {
  const { reopened, removed } = start();
  let isAllowed = false;
  reopened.end(flows, ({ handle }) => handle === '03' || !isAllowed);
  await pass(100);
  isAllowed = true;
  await pass(20_000);
  expect(removed).toEqual(['01,03', '03', '03', '03']);
});

it('asks nobody where nothing can come back', async () => {
  const { reopened, removed } = start();
  reopened.end([flow(6, '02')], () => true);
  await pass(20_000);
  expect(removed).toEqual([]);
});
