/** Frames of a container on a bridge that has no lease yet: rows of `hostile.ts`. */
import {
  ALICE,
  arp,
  BROADCAST,
  EARLY,
  EARLY_LL,
  ether,
  FOREIGN,
  HOST,
  INTERNET,
  ip,
  MALLORY,
  me,
  na,
  nd,
  UDP,
} from './bridged-parties.ts';
import type { Attack } from './hostile.ts';

const chaddr = (mac: string): string => `bytes.fromhex("${mac.replaceAll(':', '')}")`;
const bootp = (mac: string, { from = '0.0.0.0', own = EARLY.mac }: { from?: string; own?: string } = {}): string =>
  `${ether(BROADCAST, own)}/${ip(from, '255.255.255.255')}/UDP(sport=68, dport=67)/BOOTP(chaddr=${chaddr(mac)})/DHCP(options=[("message-type","discover"),"end"])/M`;
const duid = (mac: string): string => `DHCP6OptClientId(duid=DUID_LL(lladdr="${mac}"))`;
const dhcp6 = (body: string, from = EARLY_LL): string =>
  `${ether('33:33:00:01:00:02', EARLY.mac)}/${ip(from, 'ff02::1:2')}/UDP(sport=546, dport=547)/${body}/DHCP6OptUnknown(optcode=65001, optlen=len(M.load), data=M.load)`;
/** What of it is its own. */
export const OWN_EARLY: readonly Attack[] = [
  ['own DHCP question', bootp(EARLY.mac)],
  ['own DHCPv6 question', dhcp6(`DHCP6_Solicit()/${duid(EARLY.mac)}`)],
  ['own DHCPv6 question with a time', dhcp6(`DHCP6_Request()/DHCP6OptClientId(duid=DUID_LLT(lladdr="${EARLY.mac}"))`)],
  ['DHCPv6 question for no address', dhcp6('DHCP6_InfoRequest()/DHCP6OptElapsedTime()')],
];

const early = (frames: string): string => frames.replaceAll(MALLORY.mac, EARLY.mac);

/** From one that has no lease yet. */
export const FROM_EARLY: readonly Attack[] = [
  ['DHCP question about the sibling', bootp(ALICE.mac)],
  ['DHCP question about nobody', bootp(FOREIGN.mac)],
  ['DHCP question about the sibling in its frame', bootp(ALICE.mac, { own: ALICE.mac })],
  ['DHCP question from an address', bootp(EARLY.mac, { from: EARLY.own[0] })],
  [
    'DHCP question cut short',
    `${ether(BROADCAST, EARLY.mac)}/${ip('0.0.0.0', '255.255.255.255')}/UDP(sport=68, dport=67)/M`,
  ],
  [
    'DHCP question, a later fragment',
    `${ether(BROADCAST, EARLY.mac)}/IP(src="0.0.0.0", dst="255.255.255.255", proto=17, flags="MF", frag=6)/M`,
  ],
  ["DHCPv6 question with the sibling's identifier", dhcp6(`DHCP6_Solicit()/${duid(ALICE.mac)}`)],
  [
    "DHCPv6 question with the sibling's identifier and a time",
    dhcp6(`DHCP6_Request()/DHCP6OptClientId(duid=DUID_LLT(lladdr="${ALICE.mac}"))`),
  ],
  [
    'DHCPv6 question with an identifier of a vendor',
    dhcp6('DHCP6_Solicit()/DHCP6OptClientId(duid=DUID_EN(enterprisenum=9, id=b"abcdefgh"))'),
  ],
  ["DHCPv6 release with the sibling's identifier", dhcp6(`DHCP6_Release()/${duid(ALICE.mac)}`)],
  [
    "DHCPv6 question with the sibling's identifier behind others",
    dhcp6(`DHCP6_Solicit()/DHCP6OptElapsedTime()/${duid(ALICE.mac)}`),
  ],
  ['DHCPv6 question without an identifier', dhcp6('DHCP6_Solicit()/DHCP6OptElapsedTime()')],
  [
    'DHCPv6 question that another has relayed',
    `${ether('33:33:00:01:00:02', EARLY.mac)}/${ip(EARLY_LL, 'ff02::1:2')}/UDP(sport=546, dport=547)/DHCP6_RelayForward(linkaddr="0:0:1:a:3:1:${EARLY.mac.replace(/^(..):(..):(..):(..):(..):(..)$/, '$1$2:$3$4')}", peeraddr="${EARLY.mac.replace(/^(..):(..):(..):(..):(..):(..)$/, '$5$6')}::1")/DHCP6OptRelayMsg(message=DHCP6_Solicit()/${duid(ALICE.mac)})/M`,
  ],
  ['DHCPv6 question from another link-local address', dhcp6(`DHCP6_Solicit()/${duid(EARLY.mac)}`, 'fe80::99')],
  ['DHCPv6 question from an address', dhcp6(`DHCP6_Solicit()/${duid(EARLY.mac)}`, EARLY.own[1])],
  ['ARP before the lease', early(arp(`op=1, ${me}, psrc="${EARLY.own[0]}", pdst="${HOST[0]}"`))],
  ['advertisement before the lease', early(nd(EARLY_LL, 'ff02::1', na(EARLY.own[1])))],
  ...[ALICE.own[1], FOREIGN['an unused address'][1]].map(
    (address): Attack => [
      `detection of a duplicate of ${address} before the lease`,
      early(nd('::', 'ff02::1', `ICMPv6ND_NS(tgt="${address}")`)),
    ],
  ),
  ['datagram before the lease, IPv4', `${ether('HOSTMAC', EARLY.mac)}/${ip(EARLY.own[0], INTERNET[0])}/${UDP}`],
  ['datagram before the lease, IPv6', `${ether('HOSTMAC', EARLY.mac)}/${ip(EARLY.own[1], HOST[1])}/${UDP}`],
  [
    'datagram to the sibling before the lease',
    `${ether(ALICE.mac, EARLY.mac)}/${ip(EARLY.own[0], ALICE.own[0])}/${UDP}`,
  ],
  [
    'DNS question to the host before the lease',
    `${ether('HOSTMAC', EARLY.mac)}/${ip('0.0.0.0', HOST[0])}/UDP(sport=68, dport=53)/M`,
  ],
  ["the sibling's datagram before the lease", `${ether('HOSTMAC', EARLY.mac)}/${ip(ALICE.own[0], INTERNET[0])}/${UDP}`],
];
