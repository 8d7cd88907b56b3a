/** Frames by which a container on a bridge would be somebody else: rows of `hostile.ts`. */
import {
  ALICE,
  ALICE_LL,
  ALL_NODES,
  arp,
  BROADCAST,
  ether,
  FAMILIES,
  FOREIGN,
  HOST,
  INTERNET,
  ip,
  MALLORY,
  MALLORY_LL,
  me,
  ND_MARK,
  na,
  nd,
  ns,
  UDP,
} from './bridged-parties.ts';
import type { Attack } from './hostile.ts';

/** Of other hardware addresses. */
const hardware: readonly Attack[] = [FOREIGN.mac, ALICE.mac, 'HOSTMAC'].flatMap((from) =>
  FAMILIES.flatMap(([at, name]): Attack[] => [
    [
      `from the hardware address ${from}, to the host, ${name}`,
      `${ether('HOSTMAC', from)}/${ip(MALLORY.own[at], HOST[at])}/${UDP}`,
    ],
    [
      `from the hardware address ${from}, to the sibling, ${name}`,
      `${ether(ALICE.mac, from)}/${ip(MALLORY.own[at], ALICE.own[at])}/${UDP}`,
    ],
    [
      `from the hardware address ${from}, outwards, ${name}`,
      `${ether('HOSTMAC', from)}/${ip(MALLORY.own[at], INTERNET[at])}/${UDP}`,
    ],
  ]),
);

const sources: readonly Attack[] = (['an unused address', 'the internet', 'the sibling', 'the host'] as const).flatMap(
  (whose) =>
    FAMILIES.flatMap(([at, name]): Attack[] => {
      const from = FOREIGN[whose][at];
      return [
        [`as ${whose}, to the host, ${name}`, `${ether('HOSTMAC')}/${ip(from, HOST[at])}/${UDP}`],
        [`as ${whose}, outwards, ${name}`, `${ether('HOSTMAC')}/${ip(from, INTERNET[at])}/${UDP}`],
        [`as ${whose}, to the sibling by the host, ${name}`, `${ether('HOSTMAC')}/${ip(from, ALICE.own[at])}/${UDP}`],
        [`as ${whose}, to the sibling itself, ${name}`, `${ether(ALICE.mac)}/${ip(from, ALICE.own[at])}/${UDP}`],
        [
          `as ${whose}, to everybody, ${name}`,
          at === 0
            ? `${ether(BROADCAST)}/${ip(from, '255.255.255.255')}/${UDP}`
            : `${ether(ALL_NODES)}/${ip(from, 'ff02::1')}/${UDP}`,
        ],
      ];
    }),
);

const disguises: readonly Attack[] = [
  ...FAMILIES.map(
    ([at, name]): Attack => [
      `as the sibling, with its hardware address too, ${name}`,
      `${ether('HOSTMAC', ALICE.mac)}/${ip(ALICE.own[at], INTERNET[at])}/${UDP}`,
    ],
  ),
  ['as nobody, IPv4', `${ether('HOSTMAC')}/${ip('0.0.0.0', INTERNET[0])}/${UDP}`],
  ['as nobody, IPv6', `${ether('HOSTMAC')}/${ip('::', HOST[1])}/${UDP}`],
  ['as loopback, IPv4', `${ether('HOSTMAC')}/${ip('127.0.0.1', HOST[0])}/${UDP}`],
  ['as loopback, IPv6', `${ether('HOSTMAC')}/${ip('::1', HOST[1])}/${UDP}`],
  ['from its link-local address', `${ether('HOSTMAC')}/${ip(MALLORY_LL, HOST[1])}/${UDP}`],
  ['from another link-local address', `${ether('HOSTMAC')}/${ip('fe80::99', HOST[1])}/${UDP}`],
  [
    'a fragment as the sibling',
    `${ether('HOSTMAC')}/IP(src="${ALICE.own[0]}", dst="${INTERNET[0]}", proto=17, flags="MF", frag=4)/M/(b"x"*((-len(M.load))%8))`,
  ],
  [
    'the first of fragments as the sibling',
    `${ether('HOSTMAC')}/IP(src="${ALICE.own[0]}", dst="${INTERNET[0]}", flags="MF")/UDP(sport=7, dport=9)/M/(b"x"*((-len(M.load))%8))`,
  ],
  [
    'a fragment as the sibling, IPv6',
    `${ether('HOSTMAC')}/${ip(ALICE.own[1], HOST[1])}/IPv6ExtHdrFragment(offset=4, m=1, nh=17)/M/(b"x"*((-len(M.load))%8))`,
  ],
  [
    'behind options, as the sibling, IPv6',
    `${ether('HOSTMAC')}/${ip(ALICE.own[1], HOST[1])}/IPv6ExtHdrHopByHop()/IPv6ExtHdrDestOpt()/${UDP}`,
  ],
  [
    'with options, as the sibling',
    `${ether('HOSTMAC')}/IP(src="${ALICE.own[0]}", dst="${INTERNET[0]}", options=[IPOption_NOP()] * 4)/${UDP}`,
  ],
  [
    'IPv6 that calls itself IPv4',
    `Ether(dst="${ALICE.mac}", src="${MALLORY.mac}", type=0x800)/Raw(bytes(${ip(ALICE.own[1], HOST[1])}/${UDP}))`,
  ],
  [
    'IPv4 that calls itself IPv6',
    `Ether(dst="${ALICE.mac}", src="${MALLORY.mac}", type=0x86dd)/Raw(bytes(${ip(ALICE.own[0], HOST[0])}/${UDP}))`,
  ],
];

const arps: readonly Attack[] = [
  ...(['an unused address', 'the internet', 'the sibling', 'the host'] as const).flatMap((whose): Attack[] => [
    [`ARP question as ${whose}`, arp(`op=1, ${me}, psrc="${FOREIGN[whose][0]}", pdst="${HOST[0]}"`)],
    [
      `ARP answer to the host as ${whose}`,
      arp(`op=2, ${me}, psrc="${FOREIGN[whose][0]}", pdst="${HOST[0]}", hwdst=HOSTMAC`, { to: 'HOSTMAC' }),
    ],
    [
      `ARP answer to the sibling as ${whose}`,
      arp(`op=2, ${me}, psrc="${FOREIGN[whose][0]}", pdst="${ALICE.own[0]}", hwdst="${ALICE.mac}"`, { to: ALICE.mac }),
    ],
    [
      `gratuitous ARP question as ${whose}`,
      arp(`op=1, ${me}, psrc="${FOREIGN[whose][0]}", pdst="${FOREIGN[whose][0]}"`),
    ],
    [`gratuitous ARP answer as ${whose}`, arp(`op=2, ${me}, psrc="${FOREIGN[whose][0]}", pdst="${FOREIGN[whose][0]}"`)],
  ]),
  ["ARP probe for the sibling's address", arp(`op=1, ${me}, psrc="0.0.0.0", pdst="${ALICE.own[0]}"`)],
  [
    'ARP that names another hardware address',
    arp(`op=1, hwsrc="${FOREIGN.mac}", psrc="${MALLORY.own[0]}", pdst="${HOST[0]}"`),
  ],
  [
    "ARP that names the sibling's hardware address",
    arp(`op=2, hwsrc="${ALICE.mac}", psrc="${MALLORY.own[0]}", pdst="${HOST[0]}", hwdst=HOSTMAC`, { to: 'HOSTMAC' }),
  ],
  [
    'ARP with the names of the sibling, all of them',
    arp(`op=2, hwsrc="${ALICE.mac}", psrc="${ALICE.own[0]}", pdst="${HOST[0]}", hwdst=HOSTMAC`, {
      to: 'HOSTMAC',
      from: ALICE.mac,
    }),
  ],
  [
    'ARP in a frame of another hardware address',
    arp(`op=1, ${me}, psrc="${MALLORY.own[0]}", pdst="${HOST[0]}"`, { from: FOREIGN.mac }),
  ],
  ['ARP of other hardware', arp(`op=1, hwtype=6, ${me}, psrc="${MALLORY.own[0]}", pdst="${HOST[0]}"`)],
  ['ARP about another protocol', arp(`op=1, ptype=0x86dd, ${me}, psrc="${MALLORY.own[0]}", pdst="${HOST[0]}"`)],
  [
    'ARP with other lengths',
    `${ether(BROADCAST)}/ARP(op=1, hwlen=8, plen=4, hwsrc=b"\\x02\\x16\\x3e\\0\\0\\x66\\0\\0", psrc="${ALICE.own[0]}", hwdst=b"\\0"*8, pdst="${HOST[0]}")/M`,
  ],
  [
    'reverse ARP',
    `Ether(dst="${BROADCAST}", src="${MALLORY.mac}", type=0x8035)/Raw(bytes(ARP(op=3, ${me}, psrc="${ALICE.own[0]}")))/M`,
  ],
  ['ARP cut short', `Ether(dst="${BROADCAST}", src="${MALLORY.mac}", type=0x806)/M`],
];

const discovery: readonly Attack[] = [
  ...(['an unused address', 'the internet', 'the sibling', 'the host'] as const).flatMap((whose): Attack[] => [
    [`advertisement of ${whose}`, nd(MALLORY_LL, 'ff02::1', na(FOREIGN[whose][1]))],
    [`advertisement of ${whose} from an own address`, nd(MALLORY.own[1], 'ff02::1', na(FOREIGN[whose][1]))],
    [`advertisement of ${whose} as itself`, nd(FOREIGN[whose][1], 'ff02::1', na(FOREIGN[whose][1]))],
    [
      `advertisement of ${whose} to the sibling`,
      nd(MALLORY_LL, ALICE.own[1], na(FOREIGN[whose][1], 'S=1, O=1'), ALICE.mac),
    ],
    [`advertisement of ${whose} to the host`, nd(MALLORY_LL, HOST[1], na(FOREIGN[whose][1], 'S=1, O=1'), 'HOSTMAC')],
    [`solicitation as ${whose}`, nd(FOREIGN[whose][1], HOST[1], ns(HOST[1]), 'HOSTMAC')],
    [`detection of a duplicate of ${whose}`, nd('::', 'ff02::1', `ICMPv6ND_NS(tgt="${FOREIGN[whose][1]}")`)],
  ]),
  ["advertisement of the sibling's link-local address", nd(MALLORY_LL, 'ff02::1', na(ALICE_LL))],
  [
    "detection of a duplicate of the sibling's link-local address",
    nd('::', 'ff02::1', `ICMPv6ND_NS(tgt="${ALICE_LL}")`),
  ],
  ['advertisement from another link-local address', nd('fe80::99', 'ff02::1', na('fe80::99'))],
  ['advertisement of the sibling from nobody', nd('::', 'ff02::1', na(ALICE.own[1]))],
  ['solicitation from another link-local address', nd('fe80::99', HOST[1], ns(HOST[1]), 'HOSTMAC')],
  ["solicitation from the sibling's link-local address", nd(ALICE_LL, HOST[1], ns(HOST[1]), 'HOSTMAC')],
  [
    'advertisement of the sibling behind options',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/IPv6ExtHdrDestOpt()/${na(ALICE.own[1])}/${ND_MARK}`,
  ],
  [
    'detection of a duplicate of the sibling behind options',
    `${ether(ALL_NODES)}/IPv6(src="::", dst="ff02::1", hlim=255)/IPv6ExtHdrDestOpt()/ICMPv6ND_NS(tgt="${ALICE.own[1]}")/${ND_MARK}`,
  ],
  [
    'advertisement of the sibling as an atomic fragment',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/IPv6ExtHdrFragment()/${na(ALICE.own[1])}/${ND_MARK}`,
  ],
];

/** What is said as somebody else. */
export const SPOOFED: readonly Attack[] = [...hardware, ...sources, ...disguises, ...arps, ...discovery];

/** What of it is its own. */
export const OWN_MALLORY: readonly Attack[] = [
  ['own ARP question', arp(`op=1, ${me}, psrc="${MALLORY.own[0]}", pdst="${ALICE.own[0]}"`)],
  ['own solicitation', nd(MALLORY_LL, 'ff02::1', ns(ALICE.own[1]))],
  ['own advertisement', nd(MALLORY.own[1], 'ff02::1', na(MALLORY.own[1]))],
  ['detection of a duplicate of its own', nd('::', 'ff02::1', `ICMPv6ND_NS(tgt="${MALLORY.own[1]}")`)],
  ['own datagram, IPv4', `${ether(ALICE.mac)}/${ip(MALLORY.own[0], ALICE.own[0])}/${UDP}`],
  ['own datagram, IPv6', `${ether(ALICE.mac)}/${ip(MALLORY.own[1], ALICE.own[1])}/${UDP}`],
];
