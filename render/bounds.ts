/** How much of what all share one container may take: the host's connection table, its room for fragments, and its tables of neighbours. */
import { bridgedBoundingSets, bridgedBounds } from './bridged.ts';
import type { HostState } from './desired.ts';
import { OWNED, type OwnedSet } from './owned.ts';
import type { NftChain, NftSet } from './ruleset.ts';

/**
 * Solicitations that make the host remember one more neighbour. An own address needs none of it, for there are only so
 * many of those; link-local ones and those of a routed prefix a container can make up without end, and the kernel keeps
 * 1,024 neighbours for all interfaces together.
 */
const NEIGHBOURS = { name: 'neighbours', rate: '1/second burst 20 packets' };

/** A set's elements keep the limit that they were made with, so another limit is another set. */
const connectionsName = ({ connections }: HostState): string => `connections_${connections.most}`;
const rateName = ({ connections }: HostState): string => `connecting_${connections.rate.replace('/', '_')}`;

export function boundingSets(host: HostState): [string, NftSet][] {
  return [
    [rateName(host), perVeth('flags dynamic,timeout; timeout 1m;')],
    // Without a timeout: a count that expires begins again at nothing.
    [connectionsName(host), perVeth('flags dynamic;')],
    ...fragmentSets(host),
    ...neighbourSets(),
    ...bridgedBoundingSets(host),
  ];
}

/**
 * Of what isn't whole, in the store that all share until it is. By number, and by bytes: a sender can have 64 KiB taken for
 * one frame that is to be cut later, whatever the MTU.
 */
function fragmentBounds({ connections: { fragments } }: HostState) {
  const [number = '', unit = ''] = fragments.split('/');
  const bytes = Number(number) * BYTES_OF_FRAGMENT;
  return [
    { set: `fragments_${number}_${unit}`, limit: `rate over ${fragments} burst ${number} packets` },
    { set: `fragment_bytes_${number}_${unit}`, limit: `rate over ${bytes} bytes/${unit} burst ${bytes} bytes` },
  ];
}

/** More than a usual MTU. */
const BYTES_OF_FRAGMENT = 2000;

export const fragmentSets = (host: HostState): [string, NftSet][] =>
  fragmentBounds(host).map(({ set }) => [set, perVeth('flags dynamic,timeout; timeout 1m;')]);

/** `update @fragments_2000_second { iifname limit rate over 2000/second burst 2000 packets }` */
export const overFragments = (host: HostState): string[] =>
  fragmentBounds(host).map(({ set, limit }) => `update @${set} { iifname limit ${limit} }`);

export const neighbourSets = (): [string, NftSet][] => [
  [NEIGHBOURS.name, perVeth('flags dynamic,timeout; timeout 1m;')],
];

/**
 * `admit`: what is allowed, before it becomes a connection; only a connection's first packet is not confirmed yet. The
 * count is made anew with each new connection, in a time that grows with it, and the rate is what bounds that.
 */
export function boundingChains(host: HostState): [string, NftChain][] {
  const first = 'ct status & confirmed == 0 iifname @veths';
  const { most, rate } = host.connections;
  const burst = 2 * Number.parseInt(rate, 10);
  return [
    [
      'admit',
      {
        hook: '',
        rules: [
          `${first} update @${rateName(host)} { iifname limit rate over ${rate} burst ${burst} packets } goto egress_drop`,
          `${first} add @${connectionsName(host)} { iifname ct count over ${most} } goto egress_drop`,
          ...bridgedBounds(host, { rate: `rate over ${rate} burst ${burst} packets`, most: `ct count over ${most}` }),
        ],
      },
    ],
    [
      'solicited',
      {
        hook: '',
        rules: ['ip6 saddr :: accept', 'iifname . ip6 saddr @owned6 accept', `${OVER_NEIGHBOURS} drop`, 'accept'],
      },
    ],
  ];
}

const OVER_NEIGHBOURS = `update @${NEIGHBOURS.name} { iifname limit rate over ${NEIGHBOURS.rate} }`;

/** ARP by an own address passes; of one of a routed prefix there are too many to be remembered. */
export const arpSenders = (sets: readonly OwnedSet[]): string[] =>
  sets.map((set) => `${OWNED.match(set)} ${set.length === 32 ? 'return' : 'goto solicited'}`);

export const arpBoundingChains = (): [string, NftChain][] => [
  ['solicited', { hook: '', rules: [`${OVER_NEIGHBOURS} drop`] }],
];

const perVeth = (flags: string): NftSet => ({
  kind: 'set',
  spec: `typeof iifname; size 65535; ${flags}`,
  dynamic: true,
  elements: new Map(),
});
