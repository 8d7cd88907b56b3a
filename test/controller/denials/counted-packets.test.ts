/** nft's listing of what was refused, as `nft --numeric -i` of 1.0.6 prints it. */
import { expect, test } from 'vitest';
import { parseCounted, readCounted } from '../../../controller/denials/counted-packets.ts';

const LISTING = `table inet routewall {
	set refused_egress4 {
		typeof iifname . ip daddr . meta l4proto . th dport
		size 65535
		flags dynamic,timeout
		counter
		timeout 1h
		elements = { "veth0" . 192.0.2.53 . 17 . 53 counter packets 3 bytes 87 expires 59m40s40ms, "veth}1" . 203.0.113.80 . 6 . 25 counter packets 1 bytes 60 expires 1m,
			     "veth0" . 192.0.2.1 . 1 . 2048 counter packets 0 bytes 0 expires 1h }
	}
}
table inet routewall {
	set observed_ingress6 {
		typeof ip6 daddr . ip6 saddr . meta l4proto . th dport
		elements = { 2001:db8:100::10 . 2001:db8::1 . 6 . 22 counter packets 9 bytes 720 expires 30d23h59m59s }
	}
}
table inet routewall {
	set refused_spoof4 {
		elements = { "veth0" . 192.0.2.1 . 6 . 22 counter packets 2 bytes 80 timeout 2h expires 59m59s }
	}
}
`;

test('each element is read with what it met, its peer, its counters and its age', () => {
  const found = parseCounted(LISTING);
  expect(
    found.map(({ as, by, whose, peer, protocol, port }) => [as, by, whose, peer, protocol, port].join(' ')),
  ).toEqual([
    'refused egress veth0 192.0.2.53 17 53',
    'refused egress veth}1 203.0.113.80 6 25',
    'refused egress veth0 192.0.2.1 1 2048',
    'observed ingress 2001:db8:100::10 2001:db8::1 6 22',
    'refused spoof veth0 192.0.2.1 6 22',
  ]);
  expect(found.map(({ packets, bytes, age }) => [packets, bytes, age])).toEqual([
    [3, 87, 19_960],
    [1, 60, 59 * 60_000],
    [0, 0, 0],
    [9, 720, 1000],
    [2, 80, 1000],
  ]);
  expect(found.map(({ set, key }) => `${set} { ${key} }`)[3]).toBe(
    'observed_ingress6 { 2001:db8:100::10 . 2001:db8::1 . 6 . 22 }',
  );
});

test('a listing without elements, or none at all, holds nothing', () => {
  expect(parseCounted('')).toEqual([]);
  expect(parseCounted('set refused_egress4 {\n}\n')).toEqual([]);
});

test('those of some interfaces and addresses are the same as among all, however nft breaks its lines', async () => {
  const all = parseCounted(LISTING);
  const names = [...new Set(all.map(({ whose }) => whose))];
  expect(names.length).toBeGreaterThan(1);
  for (const stdout of [LISTING, LISTING.replace(/,\n\s*/g, ', ')]) {
    const run = async () => ({ stdout, stderr: '', exitCode: 0 });
    for (const name of [...names, 'veth404'])
      expect(await readCounted(run, [{ as: 'refused', by: 'egress' }], new Set([name]).add('veth405'))).toEqual(
        all.filter(({ whose }) => whose === name || whose === 'veth405'),
      );
  }
});
