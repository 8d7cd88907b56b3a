/** Address translation as nft: maps and sets whose elements come and go with containers, and chains that look them up. */
import { type Family, familyOf } from './address.ts';
import type { NicState } from './desired.ts';
import type { ChainName } from './names.ts';
import type { NftChain, NftSet, NftTable } from './ruleset.ts';
import type { MasqueradeAs } from './translation.ts';

/** Which kinds some NIC of a state has: what nobody uses has neither chain nor set. */
export interface NatUse {
  readonly publishes: boolean;
  readonly masquerades: boolean;
}

type Nics = ReadonlyMap<string, NicState>;

interface Counts {
  readonly publishing: number;
  readonly masqueraded: number;
}

const known = new WeakMap<Nics, Counts>();

export function natUse(nics: Nics): NatUse {
  const { publishing, masqueraded } = countsOf(nics);
  return { publishes: publishing > 0, masquerades: masqueraded > 0 };
}

function countsOf(nics: Nics): Counts {
  const before = known.get(nics);
  if (before !== undefined) return before;
  const counts = sum(nics.values());
  known.set(nics, counts);
  return counts;
}

/** Spares the next state its pass over all NICs. */
export function followNatUse(
  before: Nics,
  after: Nics,
  { gone, come }: { readonly gone: readonly NicState[]; readonly come: readonly NicState[] },
): void {
  if (known.has(after)) return;
  const [was, minus, plus] = [countsOf(before), sum(gone), sum(come)];
  known.set(after, {
    publishing: was.publishing - minus.publishing + plus.publishing,
    masqueraded: was.masqueraded - minus.masqueraded + plus.masqueraded,
  });
}

function sum(nics: Iterable<NicState>): Counts {
  let [publishing, masqueraded] = [0, 0];
  for (const { nat } of nics) {
    if (nat === undefined) continue;
    if (nat.publications.length > 0) publishing += 1;
    if (Object.keys(nat.masquerade).length > 0) masqueraded += 1;
  }
  return { publishing, masqueraded };
}

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;

/** `uplinks`: where containers are masqueraded to. */
export function natSets(
  use: NatUse,
  nics: readonly NicState[],
  uplinks: readonly string[],
  ingressOf: (nic: NicState) => ChainName,
): [string, NftSet][] {
  return [
    ...(use.publishes ? FAMILIES.flatMap((family) => publishSets(family, nics, ingressOf)) : []),
    ...(use.masquerades ? [uplinkSet(uplinks), ...FAMILIES.flatMap((family) => masqueradeSets(family, nics))] : []),
  ];
}

function publishSets(
  family: Family,
  nics: readonly NicState[],
  ingressOf: (nic: NicState) => ChainName,
): [string, NftSet][] {
  const published = new Map<string, string>();
  const itself = new Map<string, string>();
  const verdicts = new Map<string, string>();
  for (const nic of nics) {
    for (const { protocol, on, ports, to, toPort } of nic.nat?.publications ?? []) {
      if (familyOf(on) !== family) continue;
      itself.set(`${to} . ${to}`, '');
      verdicts.set(to, `goto ${ingressOf(nic)}`);
      // One by one: an interval map would be listed by nft at each change of any set.
      for (let port = ports.first; port <= ports.last; port += 1)
        published.set(`${protocol} . ${on} . ${port}`, `${to} . ${port - ports.first + toPort}`);
    }
  }
  const address = `ipv${family}_addr`;
  const key = `inet_proto . ${address} . inet_service`;
  return [
    [`published${family}`, map(`type ${key} : ${address} . inet_service;`, published)],
    [`published_itself${family}`, set(`type ${address} . ${address};`, itself)],
    [`to_published${family}`, map(`type ${address} : verdict;`, verdicts)],
  ];
}

function masqueradeSets(family: Family, nics: readonly NicState[]): [string, NftSet][] {
  const veths = new Map<string, string>();
  const addresses = new Map<string, string>();
  for (const { hostVeth, nat } of nics) {
    const as: MasqueradeAs | undefined = nat?.masquerade[family];
    if (as !== undefined) veths.set(`"${hostVeth}"`, '');
    if (as?.kind === 'address') addresses.set(`"${hostVeth}"`, as.address);
  }
  return [
    [`masqueraded${family}`, set('type ifname;', veths)],
    [`masqueraded_as${family}`, map(`type ifname : ipv${family}_addr;`, addresses)],
  ];
}

const uplinkSet = (uplinks: readonly string[]): [string, NftSet] => [
  'masquerade_uplinks',
  set('type ifname;', new Map(uplinks.map((name) => [`"${name}"`, '']))),
];

const set = (spec: string, elements: ReadonlyMap<string, string>): NftSet => ({
  ...{ kind: 'set', spec, dynamic: false, elements },
});

const map = (spec: string, elements: ReadonlyMap<string, string>): NftSet => ({
  ...{ kind: 'map', spec, dynamic: false, elements },
});

/**
 * Before everybody else's translations, of which a flow gets the first that fits and no other. nft 1.0.6 knows no names
 * for priorities in output, where dstnat is -100.
 */
const HOOKS = {
  in: 'type nat hook prerouting priority dstnat - 5; policy accept;',
  local: 'type nat hook output priority -105; policy accept;',
  out: 'type nat hook postrouting priority srcnat - 5; policy accept;',
  translated: 'type filter hook postrouting priority srcnat + 5; policy accept;',
};

/** `hasBridges`: whether containers hang on bridges. */
export const natChains = (use: NatUse, hasBridges: boolean): [string, NftChain][] => [
  ...(use.publishes ? publishChains() : []),
  ...(use.masquerades ? masqueradeChains(hasBridges) : []),
];

function publishChains(): [string, NftChain][] {
  const lookUps = FAMILIES.map(
    (family) => `dnat ${IP[family]} to meta l4proto . ${IP[family]} daddr . th dport map @published${family}`,
  );
  return [
    ['publish_in', { hook: HOOKS.in, rules: lookUps }],
    ['publish_local', { hook: HOOKS.local, rules: lookUps }],
    ['publish_out', { hook: HOOKS.out, rules: FAMILIES.flatMap(publishedOut) }],
  ];
}

/**
 * A container that isn't there (any more) has no route but the default one: what was meant for it must not leave by an
 * uplink. And one that reaches itself by its published address would get packets from its own, which no kernel takes:
 *
 *     ct status dnat ip daddr . ip daddr @published_itself4 oifname != @veths drop
 *     ct status dnat ip saddr . ip daddr @published_itself4 snat ip to ct original ip daddr
 */
function publishedOut(family: Family): string[] {
  const ip = IP[family];
  return [
    `ct status dnat ${ip} daddr . ${ip} daddr @published_itself${family} oifname != @veths drop`,
    `ct status dnat ${ip} saddr . ${ip} daddr @published_itself${family} snat ${ip} to ct original ${ip} daddr`,
  ];
}

/**
 * For chain output: what the host itself sends to a published address is translated after its way out was chosen, so
 * that `oifname` is still lo there, and no rule would ask the container's ingress.
 */
export const publishedByHost = ({ publishes }: NatUse): string[] =>
  publishes ? FAMILIES.map((family) => `ct status dnat ${IP[family]} daddr vmap @to_published${family}`) : [];

/**
 * Source ports that no service has: by choosing the one of a published port, or of the host's own service, a container
 * could have the packets that a client sends there taken for answers to itself.
 */
const PORTS = '32768-65535';
const PORTED = [6, 17, 132];

function masqueradeChains(hasBridges: boolean): [string, NftChain][] {
  const elsewhere = [
    'oifname != @masquerade_uplinks accept',
    // Their bridge may be an uplink.
    ...(hasBridges ? FAMILIES.map((family) => `${IP[family]} daddr @bridged_held${family} accept`) : []),
  ];
  const masqueraded = FAMILIES.map((family) => `meta nfproto ipv${family} iifname @masqueraded${family}`);
  return [
    [
      'masquerade_out',
      {
        hook: HOOKS.out,
        rules: [
          ...elsewhere,
          ...FAMILIES.flatMap((family) => {
            const by = `snat ${IP[family]} to iifname map @masqueraded_as${family}`;
            return [...PORTED.map((protocol) => `meta l4proto ${protocol} ${by}:${PORTS}`), by];
          }),
          ...masqueraded.map((match) => `${match} goto masquerade_as_uplink`),
        ],
      },
    ],
    [
      // What conntrack makes nothing of, such as a wrong checksum, passes no chain of translations: it would leave as it is.
      'masquerade_only',
      {
        hook: HOOKS.translated,
        rules: [
          'ct state established,related,new accept',
          ...elsewhere,
          ...masqueraded.map((match) => `${match} drop`),
        ],
      },
    ],
    [
      'masquerade_as_uplink',
      {
        hook: '',
        rules: [...PORTED.map((protocol) => `meta l4proto ${protocol} masquerade to :${PORTS}`), 'masquerade'],
      },
    ],
  ];
}

/** What is published by a listing of our table, each port as nft prints it: `tcp . 192.0.2.1 . 8080 : 198.51.100.10 . 80`. */
export const parsePublished = (table: NftTable | undefined): string[] =>
  FAMILIES.flatMap((family) =>
    [...(table?.sets.get(`published${family}`)?.elements ?? [])].map(([key, data]) => `${key} : ${data}`),
  );
