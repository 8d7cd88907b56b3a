/** What the kernel refuses to be asked is tried again by one timer, however much comes meanwhile: else it would be ever more often. */
import { beforeEach, expect, test, vi } from 'vitest';
import { createConntrackCleaner } from '../../../controller/connections/conntrack.ts';
import { createFlowCutter } from '../../../controller/connections/cut-flows.ts';
import { createTranslationCutter } from '../../../controller/connections/cut-translations.ts';
import type { TrackedFlows } from '../../../controller/connections/tracked-flows.ts';
import { describeHost } from '../../../policies/host-network.ts';
import { parseAddress } from '../../../render/address.ts';
import type { NicState } from '../../../render/desired.ts';
import { certain, keyOf, nicOf, stateOf } from '../states.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return () => void vi.useRealTimers();
});

const refuse = async (): Promise<never> => {
  throw new Error('no netlink');
};
const FLOWS: TrackedFlows = {
  read: async function* () {
    await refuse();
    yield [];
  },
  remove: refuse,
  shut: refuse,
  forget: refuse,
};

const address = certain(parseAddress('192.0.2.1'));
const nicAt = (number: number): NicState => ({
  ...nicOf(number, 80),
  nat: {
    masquerade: {},
    publications: [
      {
        protocol: 6,
        on: address,
        ports: { first: number, last: number },
        to: address,
        toPort: number,
        origin: { file: 'web.yaml', line: 1 },
      },
    ],
  },
});
const network = describeHost([], { uplinks: 'auto', guard: [], veths: new Set() });

const KINDS = [
  [
    'addresses that are gone',
    () => {
      const cleaner = createConntrackCleaner(
        FLOWS,
        () => undefined,
        () => false,
      );
      const tell = ({ owned }: NicState) => cleaner.forget(owned.map((prefix) => ({ key: prefix, prefix })));
      return { tell, idle: cleaner.idle };
    },
  ],
  [
    'flows that are no longer allowed',
    () => {
      const cutter = createFlowCutter(FLOWS, () => undefined);
      return {
        tell: (nic: NicState) => cutter.cut({ desired: stateOf(nic), network }, [keyOf(nic)]),
        idle: cutter.idle,
      };
    },
  ],
  [
    'flows that are translated otherwise',
    () => {
      const cutter = createTranslationCutter(FLOWS, () => undefined);
      return { tell: (nic: NicState) => cutter.cut(stateOf(), stateOf(nic)), idle: cutter.idle };
    },
  ],
] as const;

test.each(KINDS)('%s', async (_, create) => {
  const { tell, idle } = create();
  for (let number = 1; number <= 4; number += 1) {
    tell(nicAt(number));
    await idle();
  }
  expect(vi.getTimerCount()).toBe(1);
});
