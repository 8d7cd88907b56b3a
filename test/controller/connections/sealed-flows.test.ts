/** Connections of sealed containers are forgotten, also where the kernel could not be asked at first. */
import { expect, it } from 'vitest';
import { parseTrackedFlow } from '../../../controller/connections/tracked-flows.ts';
import { createSealedFlowEnder } from '../../../controller/panic/end-flows.ts';
import { NO_PANIC, type PanicState } from '../../../controller/panic/panic-state.ts';
import { eventually } from '../../../sandbox/eventually.ts';
import { nicOf, stateOf } from '../states.ts';

const ALL: PanicState = { ...NO_PANIC, all: { since: '', by: 'root' } };

function start(present: () => PanicState) {
  const [removed, logged]: [string[], string[]] = [[], []];
  const flows = {
    read: async function* () {
      if (logged.length === 0) throw new Error('perl: could not be started');
      yield [parseTrackedFlow('4 6 203.0.113.9 198.51.100.1 80 - 01')];
    },
    remove: async (handles: readonly string[]) => void removed.push(...handles),
    forget: async () => 0,
  };
  const log = (_: string, text: string): void => void logged.push(text);
  const end = createSealedFlowEnder(flows, log, { desired: () => stateOf(nicOf(1, 80)), present });
  return { end, removed, logged };
}

it('once it can be asked', async () => {
  const { end, removed, logged } = start(() => ALL);
  end();
  await eventually('it is forgotten', () => logged.length === 2);
  expect(removed).toEqual(['01']);
  expect(logged[0]).toMatch(/: perl: could not be started; trying again in \d+ ms$/);
});

it('unless the panic is over by then', async () => {
  let state = ALL;
  const { end, removed, logged } = start(() => state);
  end();
  await eventually('it failed', () => logged.length === 1);
  state = NO_PANIC;
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect([removed, logged.length]).toEqual([[], 1]);
});
