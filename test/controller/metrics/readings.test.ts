/** The texts that counters are read from: recorded from Linux 6.18 and from nft 1.0.6, `nft --numeric`. */
import { expect, test } from 'vitest';
import { parseInterfaceCounters } from '../../../controller/metrics/interface-counters.ts';
import { parseRefused } from '../../../controller/metrics/refused-counters.ts';

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

test('refused packets are read with interface and direction, each element by a key of its own', () => {
  const listing = `table inet routewall {
	set refused_egress4 {
		typeof iifname . ip daddr . meta l4proto . th dport
		size 65535
		flags dynamic,timeout
		counter
		timeout 1h
		elements = { "veth0" . 192.0.2.53 . 17 . 53 counter packets 3 bytes 87 expires 59m40s40ms, "veth}1" . 203.0.113.80 . 6 . 25 counter packets 1 bytes 60 expires 1m,
			     "veth0" . 192.0.2.1 . 1 . 0 counter packets 0 bytes 0 expires 59m }
	}
}
table inet routewall {
	set refused_ingress6 {
		typeof oifname . ip6 saddr . meta l4proto . th dport
		elements = { "veth0" . 2001:db8::1 . 6 . 22 counter packets 9 bytes 720 expires 59m59s }
	}
}
`;
  expect(parseRefused(listing).map(({ veth, direction, packets }) => [veth, direction, packets])).toEqual([
    ['veth0', 'egress', 3],
    ['veth}1', 'egress', 1],
    ['veth0', 'egress', 0],
    ['veth0', 'ingress', 9],
  ]);
  expect(new Set(parseRefused(listing).map(({ key }) => key)).size).toBe(4);
  expect(parseRefused('')).toEqual([]);
});
