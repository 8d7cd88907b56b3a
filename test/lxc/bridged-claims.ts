/** Frames about a live connection of the sibling's on a bridge, floods, and what the uplink's port claims: rows of `hostile.ts`. */
import {
  ALICE,
  arp,
  BROADCAST,
  ether,
  FAMILIES,
  FOREIGN,
  HOST,
  INTERNET,
  ip,
  MALLORY,
  nd,
  UDP,
} from './bridged-parties.ts';
import type { Attack } from './hostile.ts';

export interface LiveFlow {
  readonly family: 0 | 1;
  readonly server: string;
  /** The sibling's. */
  readonly port: number;
}

/** As an end of it, with that end's hardware address and with the sender's own. */
export function segments({ family, server, port }: LiveFlow): Attack[] {
  const own = ALICE.own[family];
  const many = (to: string, from: string, layer: string, ports: string, flags: string): string =>
    `[${ether(to, from)}/${layer}/TCP(${ports}, flags="${flags}", seq=s, ack=s)/M for s in range(0, 2**32, 2**28)]`;
  return ['R', 'RA', 'SA', 'S', 'A', 'PA', 'FA'].flatMap((flags): Attack[] => [
    ...[MALLORY.mac, ALICE.mac].map(
      (mac): Attack => [
        `${flags} to ${server} as the sibling, from ${mac}`,
        many('HOSTMAC', mac, ip(own, server), `sport=${port}, dport=80`, flags),
      ],
    ),
    ...[MALLORY.mac, 'HOSTMAC'].map(
      (mac): Attack => [
        `${flags} to the sibling as ${server}, from ${mac}`,
        many(ALICE.mac, mac, ip(server, own), `sport=80, dport=${port}`, flags),
      ],
    ),
  ]);
}

/** From the sender's own address, by the host and straight to the sibling. */
export function errors({ family, server, port }: LiveFlow): Attack[] {
  const own = ALICE.own[family];
  const kinds =
    family === 0
      ? ['ICMP(type=3, code=4, nexthopmtu=576)', 'ICMP(type=3, code=3)']
      : ['ICMPv6PacketTooBig(mtu=1280)', 'ICMPv6DestUnreach(code=4)'];
  return kinds.flatMap((kind): Attack[] => [
    ...['HOSTMAC', ALICE.mac].map(
      (mac): Attack => [
        `${kind} to the sibling about ${server}, by ${mac}`,
        `${ether(mac)}/${ip(MALLORY.own[family], own)}/${kind}/${ip(own, server)}/TCP(sport=${port}, dport=80, seq=1)/M`,
      ],
    ),
    [
      `${kind} to ${server}`,
      `${ether('HOSTMAC')}/${ip(MALLORY.own[family], server)}/${kind}/${ip(server, own)}/TCP(sport=80, dport=${port}, seq=1)/M`,
    ],
  ]);
}

const OPTION = `ICMPv6NDOptSrcLLAddr(lladdr="${MALLORY.mac}")`;
const solicitations = (from: string): string =>
  `[${ether('HOSTMAC')}/IPv6(src="${from}%x" % n, dst="${HOST[1]}", hlim=255)/ICMPv6ND_NS(tgt="${HOST[1]}")/${OPTION} for n in range(1, 300)]`;

/** Each from another address, which the host has to remember to answer it, or another hardware address. */
export const FLOODS: readonly Attack[] = [
  [
    'ARP',
    `[${ether(BROADCAST)}/ARP(op=1, hwsrc="${MALLORY.mac}", psrc="198.51.100.%d" % n, pdst="${HOST[0]}") for n in range(161, 255)]`,
  ],
  ['neighbour discovery, link-local', solicitations('fe80::1:')],
  ['neighbour discovery', solicitations('2001:db8:200::1:')],
  [
    'hardware addresses',
    `[Ether(dst=HOSTMAC, src="02:99:00:00:%02x:%02x" % (n >> 8, n & 255))/${ip(MALLORY.own[0], HOST[0])}/${UDP} for n in range(500)]`,
  ],
];

/** From behind the uplink's port, as the sibling. */
export const FROM_OUTSIDE: readonly Attack[] = FAMILIES.flatMap(([at, name]): Attack[] => [
  ...[FOREIGN.mac, ALICE.mac].flatMap((mac): Attack[] => [
    [
      `as the sibling to the host, from ${mac}, ${name}`,
      `${ether('HOSTMAC', mac)}/${ip(ALICE.own[at], HOST[at])}/${UDP}`,
    ],
    [
      `as the sibling outwards, from ${mac}, ${name}`,
      `${ether('HOSTMAC', mac)}/${ip(ALICE.own[at], INTERNET[at])}/${UDP}`,
    ],
    [
      `as the sibling to another, from ${mac}, ${name}`,
      `${ether(MALLORY.mac, mac)}/${ip(ALICE.own[at], MALLORY.own[at])}/${UDP}`,
    ],
  ]),
  [
    `under an address of nobody, from the sibling's hardware address, ${name}`,
    `${ether('HOSTMAC', ALICE.mac)}/${ip(FOREIGN['an unused address'][at], HOST[at])}/${UDP}`,
  ],
]).concat([
  [
    'ARP answer as the sibling',
    arp(`op=2, hwsrc="${FOREIGN.mac}", psrc="${ALICE.own[0]}", pdst="${HOST[0]}"`, { from: FOREIGN.mac }),
  ],
  [
    'ARP question as the sibling',
    arp(`op=1, hwsrc="${FOREIGN.mac}", psrc="${ALICE.own[0]}", pdst="${HOST[0]}"`, { from: FOREIGN.mac }),
  ],
  [
    'advertisement of the sibling',
    nd(
      'fe80::99',
      'ff02::1',
      `ICMPv6ND_NA(tgt="${ALICE.own[1]}", R=1, S=0, O=1)/ICMPv6NDOptDstLLAddr(lladdr="${FOREIGN.mac}")`,
    ).replace(MALLORY.mac, FOREIGN.mac),
  ],
]);

/** From there to one that allows none of it. */
export const TO_CLOSED: readonly Attack[] = FAMILIES.map(
  ([at, name]): Attack => [
    `refused by the sibling's policy, ${name}`,
    `${ether(ALICE.mac, FOREIGN.mac)}/${ip(FOREIGN['an unused address'][at], ALICE.own[at])}/${UDP}`,
  ],
);
