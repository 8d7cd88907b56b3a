import { expect, it } from 'vitest';
import { unwatchedChanges } from '../../../controller/apply/unwatched-changes.ts';
import { parseListing } from '../../../render/listing.ts';
import { parseOwned } from '../../../render/owned.ts';
import { keyOf, nicOf, stateOf } from '../states.ts';

// nft -s list table inet routewall (nft 1.0.6), shortened
const LISTING = parseListing(`table inet routewall {
	set owned4 {
		typeof iifname . ip saddr
		counter
		elements = { "veth1" . 198.51.100.1 counter,
			     "veth2" . 198.51.100.2 counter, "veth9" . 198.51.100.3 counter }
	}
	set owned4_28 {
		typeof iifname . ip saddr
		counter
		elements = { "veth2" . 198.51.100.64 counter }
	}
	set owned6 {
		typeof iifname . ip6 saddr
		counter
		elements = { "veth2" . 2001:db8::2 counter }
	}
	set lan4 {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24 }
	}
}
`);

it('names what interfaces had and have no more, in every family and length', () => {
  const held = { owned: parseOwned(LISTING.get('inet')), shuts: () => true };
  expect(unwatchedChanges(held, stateOf(nicOf(1, 80), nicOf(3, 80))).abandoned).toEqual([
    '198.51.100.2/32',
    '198.51.100.3/32',
    '198.51.100.64/28',
    '2001:db8::2/128',
  ]);
});

it('names nothing where all is held, and nothing in a kernel without our tables', () => {
  const held = { owned: new Set<string>(), shuts: () => false };
  expect(unwatchedChanges(held, stateOf(nicOf(1, 80)))).toEqual({ abandoned: [], come: new Map() });
});

it('names what rules that were there let nobody send from', () => {
  const third = nicOf(3, 80);
  const held = { owned: parseOwned(LISTING.get('inet')), shuts: () => true };
  expect(unwatchedChanges(held, stateOf(nicOf(1, 80), third)).come).toEqual(new Map([[keyOf(third), third.owned]]));
});
