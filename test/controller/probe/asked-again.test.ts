/** What is in use is asked about again, but by nobody behind the end, also where a question was under way. */
import { beforeEach, expect, test, vi } from 'vitest';
import { AddressClaims } from '../../../controller/probe/address-claims.ts';
import { describeHost } from '../../../policies/host-network.ts';
import { parseAddress } from '../../../render/address.ts';
import { certain, veth } from '../states.ts';

const address = (text: string) => certain(parseAddress(text));
const network = describeHost(
  [
    {
      ...{ name: 'eth0', mac: '02:00:00:00:00:01', loopback: false },
      addresses: [{ address: address('192.0.2.1'), prefixLength: 24, scope: 'global' }],
    },
  ],
  { uplinks: 'auto', guard: [], veths: new Set() },
);

beforeEach(() => {
  vi.useFakeTimers();
  return () => void vi.useRealTimers();
});

test('behind the end', async () => {
  let count = 0;
  let end = (): void => undefined;
  const claims = new AddressClaims(
    {
      stream: async function* () {
        count += 1;
        await new Promise<void>((resolve) => {
          end = resolve;
        });
        yield [`0 02:00:00:00:00:99`];
      },
      ...{ log: () => undefined, onNews: () => undefined, keep: () => undefined },
    },
    new Map([[address('192.0.2.50'), { dev: veth('eth0'), mac: '02:00:00:00:00:99', veth: 'veth1' }]]),
  );
  claims.switch(true);
  claims.admit([], network, new Map());
  await vi.advanceTimersByTimeAsync(12_000);
  expect(count).toBe(1);
  end();
  await vi.advanceTimersByTimeAsync(12_000);
  expect(count).toBe(2);
  claims.stop();
  end();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect([count, vi.getTimerCount()]).toEqual([2, 0]);
});
