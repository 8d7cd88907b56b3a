/** Chains read back from nft's listing of them. */
import { expect, test } from 'vitest';
import { parsePolicyChain } from '../../../controller/kernel/listed-policy.ts';
import { formatRange } from '../../../render/address.ts';
import { parseListing } from '../../../render/listing.ts';
import { certain } from '../states.ts';

/** nft 1.0.6, `nft -s list table inet routewall` */
const LISTING = `table inet routewall {
	limit limit_0123456789ab {
		rate over 20/second burst 40 packets
	}

	chain egress_0123456789abcdef {
		jump never
		tcp dport 25 meta time < "2026-06-08 00:00:00" goto egress_observe comment "web.yaml:1"
		tcp dport 25 meta time >= "2026-06-08 00:00:00" goto egress_drop comment "web.yaml:6"
		tcp dport 22 meta time < "2026-05-28 00:00:00" meta time < "2026-06-08 00:00:00" limit name "limit_0123456789ab" goto egress_observe comment "web.yaml:1"
		tcp dport 22 meta time < "2026-05-28 00:00:00" meta time >= "2026-06-08 00:00:00" limit name "limit_0123456789ab" goto egress_drop comment "web.yaml:8"
		tcp dport 22 meta time < "2026-05-28 00:00:00" accept comment "web.yaml:8"
		meta time < "2026-06-08 00:00:00" goto egress_observe comment "web.yaml:1"
		meta time >= "2026-06-08 00:00:00" goto egress_reject comment "web.yaml:4"
	}
}
`;

test('a chain that observes is one that refuses, with the end of its observation', () => {
  const table = certain(parseListing(LISTING).get('inet'));
  const chain = certain(parsePolicyChain(table, 'egress_0123456789abcdef', 'egress'));
  expect(chain).toMatchObject({
    rules: [
      { action: 'drop', origin: { file: 'web.yaml', line: 6 } },
      {
        action: 'allow',
        until: Date.parse('2026-05-28T00:00:00Z') / 1000,
        limit: { flows: 20, per: 'second', burst: 40 },
      },
    ],
    default: { verdict: 'reject', origin: { file: 'web.yaml', line: 4 } },
    observe: { until: Date.parse('2026-06-08T00:00:00Z') / 1000, origin: { file: 'web.yaml', line: 1 } },
  });
  expect(chain.rules[0]).not.toHaveProperty('until');
});

const NETWORKS = `table inet routewall {
	set peers4_0123456789ab {
		type ipv4_addr
		elements = { 192.0.2.0, 192.0.2.128 }
	}

	set peers6_0123456789ab {
		type ipv6_addr
		elements = { 2001:db8:1::, 2001:db8:3:: }
	}

	chain egress_0123456789abcdef {
		jump never
		tcp dport 443 ip daddr & 255.255.255.192 @peers4_0123456789ab accept comment "web.yaml:3"
		tcp dport 443 ip6 daddr & ffff:ffff:ffff:: == @peers6_0123456789ab accept comment "web.yaml:3"
		goto egress_drop
	}
}
`;

const readNetworks = (listing: string) =>
  parsePolicyChain(certain(parseListing(listing).get('inet')), 'egress_0123456789abcdef', 'egress');

test('networks of one length are the prefixes that they are looked up as', () => {
  const peers = certain(readNetworks(NETWORKS)).rules.map(
    ({ peer }) => peer.kind === 'ranges' && peer.ranges.map(formatRange),
  );
  expect(peers).toEqual([
    ['192.0.2.0/26', '192.0.2.128/26'],
    ['2001:db8:1::/48', '2001:db8:3::/48'],
  ]);
});

test.each([
  ['a network with host bits, which matches nothing', '192.0.2.128', '192.0.2.129'],
  ['a mask that is no prefix', '255.255.255.192', '255.255.192.255'],
  ['an empty set', '192.0.2.0, 192.0.2.128', ''],
])('nothing is known of a chain with %s', (_, ours, foreign) => {
  expect(readNetworks(NETWORKS.replace(ours, foreign))).toBeUndefined();
});
