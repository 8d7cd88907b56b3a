/** What bridged containers add to the inet table: what comes from a bridge is told apart by its sender's address. */
import { familyOf, isHostPrefix, networkOf } from './address.ts';
import type { BridgePort, HostState, NicState } from './desired.ts';
import type { ChainName } from './names.ts';
import type { NftSet } from './ruleset.ts';

/** A NIC that hangs on a bridge. */
export type BridgedNic = NicState & { readonly port: BridgePort };

export const isBridged = (nic: NicState): nic is BridgedNic => nic.port !== undefined;

const FAMILIES = [
  { family: '4', ip: 'ip' },
  { family: '6', ip: 'ip6' },
] as const;

/** Our chains' rules about bridged containers, each list empty on a host that has none. */
export interface BridgedRules {
  readonly sourceRouted: readonly string[];
  readonly neighboursPast: readonly string[];
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly neighboursIn: readonly string[];
  readonly hostOut: readonly string[];
  readonly partners: readonly string[];
}

const NONE: BridgedRules = {
  sourceRouted: [],
  neighboursPast: [],
  from: [],
  to: [],
  neighboursIn: [],
  hostOut: [],
  partners: [],
};

/**
 * `iifname . ip saddr` can be believed: the bridge table lets nobody but its owner send from an address. Each lookup has
 * a no behind it, so that one lost element closes and never opens.
 */
export function bridgedRules({ bridges }: HostState): BridgedRules {
  if (bridges === undefined) return NONE;
  const each = (rule: (ip: 'ip' | 'ip6', family: '4' | '6') => string): string[] =>
    FAMILIES.map(({ ip, family }) => rule(ip, family));
  return {
    sourceRouted: [
      'ip hdrlength > 5 iifname . ip saddr @bridged4 jump source_route',
      'exthdr rt exists iifname . ip6 saddr @bridged6 drop',
      'exthdr hbh exists iifname . ip6 saddr @bridged6 drop',
      // As for routed containers: nobody elsewhere speaks from a container's address.
      ...each(
        (ip, family) =>
          `iifname . ${ip} saddr != @bridged${family} iif != "lo" ${ip} saddr @bridged_held${family} goto elsewhere`,
      ),
    ],
    // What br_netfilter shows here of what goes from port to port, and the bridge table has let pass: a unicast answer is
    // for a container's address, and its policy says nothing of it. What is routed has a hop less when it gets here.
    neighboursPast: [135, 136].map((type) => `icmpv6 type ${type} ip6 hoplimit 255 accept`),
    from: [
      ...each((ip, family) => `iifname . ${ip} saddr vmap @from_bridged${family}`),
      ...each((ip, family) => `iifname . ${ip} saddr @bridged${family} drop`),
    ],
    to: [
      ...each((ip, family) => `oifname . ${ip} daddr vmap @to_bridged${family}`),
      ...each((ip, family) => `oifname . ${ip} daddr @bridged${family} drop`),
    ],
    neighboursIn: [
      'icmpv6 type @neighbour6 iifname . ip6 saddr @bridged6 accept',
      // A lease must not end because a policy says nothing of its server.
      'udp sport 68 udp dport 67 iifname . ip saddr @leased4 accept',
    ],
    hostOut: [
      // Two containers on one bridge reach each other by this host, always: no redirect shortens that.
      ...each(
        (ip, family) =>
          `${family === '4' ? 'icmp type 5' : 'icmpv6 type 137'} oifname . ${ip} daddr @bridged${family} drop`,
      ),
      'icmpv6 type @neighbour6 oifname . ip6 daddr @bridged6 accept',
      'icmp type @never4 oifname . ip daddr @bridged4 accept',
      'icmpv6 type @never6 oifname . ip6 daddr @bridged6 accept',
      'udp sport 67 udp dport 68 oifname . ip daddr @leased4 accept',
    ],
    partners: [
      ...FAMILIES.flatMap(({ ip, family }) =>
        ['original', 'reply'].map(
          (direction) => `iifname . ${ip} saddr . ct ${direction} ${ip} saddr @bridged_party${family} accept`,
        ),
      ),
      ...each((ip, family) => `iifname . ${ip} saddr @bridged${family} drop`),
    ],
  };
}

/** Sets and maps of what runs. */
export function bridgedElements(
  { bridges }: HostState,
  nics: readonly BridgedNic[],
  chains: (nic: BridgedNic) => { readonly egress: ChainName; readonly ingress: ChainName },
): [string, NftSet][] {
  if (bridges === undefined) return [];
  const leased = nics.filter(({ port }) => port.isLeased);
  return [
    ...FAMILIES.flatMap(({ ip, family }): [string, NftSet][] => [
      [`bridged${family}`, container('set', `iifname . ${ip} saddr`, keysOf(nics, family))],
      [
        `from_bridged${family}`,
        container(
          'map',
          `iifname . ${ip} saddr : verdict`,
          keysOf(nics, family, (nic) => `goto ${chains(nic).egress}`),
        ),
      ],
      [
        `to_bridged${family}`,
        container(
          'map',
          `oifname . ${ip} daddr : verdict`,
          keysOf(nics, family, (nic) => `goto ${chains(nic).ingress}`),
        ),
      ],
    ]),
    ...FAMILIES.map(({ ip, family }): [string, NftSet] => [
      `bridged_held${family}`,
      container(
        'set',
        `${ip} saddr`,
        keysOf(nics, family).map(([key]) => [key.replace(/^".*" \. /, ''), '']),
      ),
    ]),
    // Siblings come in by the same bridge: only its own address twice says that the sender itself is an end of the flow.
    ...FAMILIES.map(({ ip, family }): [string, NftSet] => [
      `bridged_party${family}`,
      container(
        'set',
        `iifname . ${ip} saddr . ${ip} saddr`,
        keysOf(nics, family).map(([key]) => [key.replace(/ \. .*$/, '$&$&'), '']),
      ),
    ]),
    ['leased4', container('set', 'iifname . ip saddr', keysOf(leased, '4'))],
  ];
}

/** `"lxcbr0" . 198.51.100.10` */
const keysOf = (
  nics: readonly BridgedNic[],
  family: '4' | '6',
  data: (nic: BridgedNic) => string = () => '',
): [string, string][] =>
  nics.flatMap((nic) =>
    nic.owned
      .filter((prefix) => String(familyOf(prefix)) === family && isHostPrefix(prefix))
      .map((prefix): [string, string] => [`"${nic.port.bridge}" . ${networkOf(prefix)}`, data(nic)]),
  );

const container = (kind: 'set' | 'map', type: string, elements: readonly [string, string][]): NftSet => ({
  kind,
  spec: `typeof ${type};`,
  dynamic: false,
  elements: new Map(elements),
});

/** How much of what all share one container may take, as in bounds.ts, by its address. */
const boundName = (kind: 'connections' | 'connecting', family: string, of: string): string =>
  `bridged_${kind}${family}_${of.replace('/', '_')}`;

export function bridgedBoundingSets({ bridges, connections: { most, rate } }: HostState): [string, NftSet][] {
  if (bridges === undefined) return [];
  return FAMILIES.flatMap(({ family, ip }): [string, NftSet][] => [
    [boundName('connecting', family, rate), bounding(ip, 'flags dynamic,timeout; timeout 1m;')],
    [boundName('connections', family, String(most)), bounding(ip, 'flags dynamic;')],
  ]);
}

const bounding = (ip: string, flags: string): NftSet => ({
  kind: 'set',
  spec: `typeof ${ip} saddr; size 65535; ${flags}`,
  dynamic: true,
  elements: new Map(),
});

export function bridgedBounds(
  { bridges, connections: { most, rate } }: HostState,
  limits: { readonly rate: string; readonly most: string },
): string[] {
  if (bridges === undefined) return [];
  return FAMILIES.flatMap(({ family, ip }) => {
    const first = `ct status & confirmed == 0 iifname . ${ip} saddr @bridged${family}`;
    return [
      `${first} update @${boundName('connecting', family, rate)} { ${ip} saddr limit ${limits.rate} } goto egress_drop`,
      `${first} add @${boundName('connections', family, String(most))} { ${ip} saddr ${limits.most} } goto egress_drop`,
    ];
  });
}
