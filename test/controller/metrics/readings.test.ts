/** The texts that counters are read from: recorded from Linux 6.18. */
import { expect, test } from 'vitest';
import { parseInterfaceCounters } from '../../../controller/metrics/interface-counters.ts';

test('each interface is read with what it received and sent, whatever its name and however wide its columns', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
veth.AbC123:1234567890123      14    0    0    0     0          0         0      906      11    0    0    0     0       0          0
  eth0: broken
`;
  expect([...parseInterfaceCounters(text)]).toEqual([
    ['lo', { received: { packets: 0, bytes: 0 }, sent: { packets: 0, bytes: 0 } }],
    ['veth.AbC123', { received: { packets: 14, bytes: 1234567890123 }, sent: { packets: 11, bytes: 906 } }],
  ]);
});
