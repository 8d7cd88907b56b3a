/** Frames that no container on a bridge has to send at all: rows of `hostile.ts`. */
import {
  ALICE,
  ALICE_LL,
  ALL_NODES,
  BROADCAST,
  ether,
  FOREIGN,
  HOST,
  INTERNET,
  ip,
  MALLORY,
  MALLORY_LL,
  me,
  ND_MARK,
  nd,
  UDP,
} from './bridged-parties.ts';
import type { Attack } from './hostile.ts';

const RA = 'ICMPv6ND_RA(routerlifetime=1800)/ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::")';
/** What only routers and servers say. */
export const ROLES: readonly Attack[] = [
  ['router advertisement', nd(MALLORY_LL, 'ff02::1', RA)],
  ['router advertisement from an own address', nd(MALLORY.own[1], 'ff02::1', RA)],
  ['router advertisement as the host', nd('fe80::1', 'ff02::1', RA)],
  ['router advertisement to the sibling', nd(MALLORY_LL, ALICE.own[1], RA, ALICE.mac)],
  [
    'router advertisement behind options',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/IPv6ExtHdrHopByHop()/IPv6ExtHdrDestOpt()/${RA}/${ND_MARK}`,
  ],
  [
    'router advertisement in fragments',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/IPv6ExtHdrFragment(m=1)/${RA}/${ND_MARK}`,
  ],
  [
    'router advertisement whose type hides in a later fragment',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/IPv6ExtHdrFragment(m=0, offset=1, nh=60)/Raw(bytes(${RA}/${ND_MARK}))`,
  ],
  ['redirect', nd(MALLORY_LL, ALICE.own[1], `ICMPv6ND_Redirect(tgt="${MALLORY_LL}", dst="${INTERNET[1]}")`, ALICE.mac)],
  [
    'redirect as the host',
    nd('fe80::1', ALICE.own[1], `ICMPv6ND_Redirect(tgt="${MALLORY_LL}", dst="${INTERNET[1]}")`, ALICE.mac),
  ],
  [
    "DHCP server's answer to everybody",
    `${ether(BROADCAST)}/${ip(MALLORY.own[0], '255.255.255.255')}/UDP(sport=67, dport=68)/M`,
  ],
  [
    "DHCP server's answer to the sibling",
    `${ether(ALICE.mac)}/${ip(MALLORY.own[0], ALICE.own[0])}/UDP(sport=67, dport=68)/M`,
  ],
  ["DHCP server's answer as the host", `${ether(ALICE.mac)}/${ip(HOST[0], ALICE.own[0])}/UDP(sport=67, dport=68)/M`],
  ["DHCPv6 server's answer", `${ether(ALICE.mac)}/${ip(MALLORY_LL, ALICE_LL)}/UDP(sport=547, dport=546)/M`],
  [
    "DHCPv6 server's answer from an own address",
    `${ether(ALICE.mac)}/${ip(MALLORY.own[1], ALICE.own[1])}/UDP(sport=547, dport=546)/M`,
  ],
  [
    'DHCP question from where nothing is leased',
    `${ether(BROADCAST)}/${ip('0.0.0.0', '255.255.255.255')}/UDP(sport=68, dport=67)/BOOTP(chaddr=bytes.fromhex("${MALLORY.mac.replaceAll(':', '')}"))/DHCP(options=[("message-type","discover"),"end"])/M`,
  ],
  [
    'DHCP question of another port',
    `${ether(BROADCAST)}/${ip(MALLORY.own[0], '255.255.255.255')}/UDP(sport=6868, dport=67)/M`,
  ],
  [
    'DHCPv6 question from where nothing is leased',
    `${ether('33:33:00:01:00:02')}/${ip(MALLORY_LL, 'ff02::1:2')}/UDP(sport=546, dport=547)/M`,
  ],
  [
    'DHCPv6 question from an own address',
    `${ether('33:33:00:01:00:02')}/${ip(MALLORY.own[1], 'ff02::1:2')}/UDP(sport=546, dport=547)/M`,
  ],
  [
    'IGMP query',
    `${ether('01:00:5e:00:00:01')}/IP(src="${MALLORY.own[0]}", dst="224.0.0.1", ttl=1, proto=2, len=28)/Raw(b"\\x11\\x64\\xee\\x9b\\0\\0\\0\\0")/M`,
  ],
  [
    'MLD query',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert()])/ICMPv6MLQuery()/M`,
  ],
  [
    'MLD query from an own address',
    `${ether(ALL_NODES)}/IPv6(src="${MALLORY.own[1]}", dst="ff02::1", hlim=1)/ICMPv6MLQuery()/M`,
  ],
  [
    'PIM hello',
    `${ether('01:00:5e:00:00:0d')}/IP(src="${MALLORY.own[0]}", dst="224.0.0.13", ttl=1, proto=103)/Raw(b"\\x20\\0\\xdf\\xff")/M`,
  ],
];

const SPOOF = `${ip(ALICE.own[0], HOST[0])}/${UDP}`;
const OWN = `${ip(MALLORY.own[0], HOST[0])}/${UDP}`;
const raw = (type: number, body = 'M', to: string = ALICE.mac): string =>
  `Ether(dst="${to}", src="${MALLORY.mac}", type=${type})/${body}/(b"\\0" * 20)`;
/** What is neither ARP nor IP. */
export const KINDS: readonly Attack[] = [
  ['tag around a spoofed packet', `${ether(ALICE.mac)}/Dot1Q(vlan=5)/${SPOOF}`],
  ['tag around an own packet', `${ether(ALICE.mac)}/Dot1Q(vlan=5)/${OWN}`],
  ['priority tag around a spoofed packet', `${ether(ALICE.mac)}/Dot1Q(vlan=0, prio=7)/${SPOOF}`],
  ['priority tag around a spoofed packet to the host', `${ether('HOSTMAC')}/Dot1Q(vlan=0, prio=7)/${SPOOF}`],
  ['priority tag around an own packet', `${ether(ALICE.mac)}/Dot1Q(vlan=0)/${OWN}`],
  [
    'tag around ARP as the sibling',
    `${ether(BROADCAST)}/Dot1Q(vlan=5)/ARP(op=2, ${me}, psrc="${ALICE.own[0]}", pdst="${HOST[0]}")/M`,
  ],
  [
    'tag around a router advertisement',
    `${ether(ALL_NODES)}/Dot1Q(vlan=0)/IPv6(src="${MALLORY_LL}", dst="ff02::1", hlim=255)/${RA}/${ND_MARK}`,
  ],
  ['two tags', `${ether(ALICE.mac)}/Dot1Q(vlan=5)/Dot1Q(vlan=6)/${SPOOF}`],
  ['service tag', `${ether(ALICE.mac)}/Dot1AD(vlan=5)/${SPOOF}`],
  ['service tag around a tag', `${ether(ALICE.mac)}/Dot1AD(vlan=5)/Dot1Q(vlan=6)/${SPOOF}`],
  ['service tag around an own packet', `${ether(ALICE.mac)}/Dot1AD(vlan=0)/${OWN}`],
  ['old service tag', raw(0x9100, `Raw(b"\\0\\5\\x08\\0")/${SPOOF}`)],
  ['PPPoE around a spoofed packet', raw(0x8864, `PPPoE()/PPP(proto=0x21)/${SPOOF}`)],
  ['PPPoE discovery', raw(0x8863)],
  ['MPLS around a spoofed packet', raw(0x8847, `Raw(b"\\0\\1\\1\\x40")/${SPOOF}`)],
  ['MACsec', raw(0x88e5)],
  ['unknown ethertype', raw(0x88b5)],
  ['unknown ethertype to everybody', raw(0x88b5, 'M', BROADCAST)],
  ['unknown ethertype to the host', `Ether(dst=HOSTMAC, src="${MALLORY.mac}", type=0x88b5)/M/(b"\\0" * 20)`],
  ['spanning tree', `Dot3(dst="01:80:c2:00:00:00", src="${MALLORY.mac}")/LLC()/STP()/M`],
  ['LLC to everybody', `Dot3(dst="${BROADCAST}", src="${MALLORY.mac}")/LLC(dsap=0xe0, ssap=0xe0)/M`],
  [
    'SNAP around a spoofed packet',
    `Dot3(dst="${ALICE.mac}", src="${MALLORY.mac}")/LLC(dsap=0xaa, ssap=0xaa, ctrl=3)/SNAP(code=0x800)/${SPOOF}`,
  ],
  ['LLDP', raw(0x88cc, 'M', '01:80:c2:00:00:0e')],
  ['IP in a frame to a reserved address', `${ether('01:80:c2:00:00:0e')}/${SPOOF}`],
  ['pause frame to the sibling', raw(0x8808)],
  ['EAPOL', raw(0x888e, 'M', '01:80:c2:00:00:03')],
  ['AARP', raw(0x80f3, 'M', BROADCAST)],
];

/** Whose frames the bridge would look for at the sender's port. */
export const OTHERS: readonly string[] = [ALICE.mac, FOREIGN.mac];

/** To addresses that a bridge keeps for itself: it hands them to its port, past its hooks and its other ports. */
export const RESERVED: readonly Attack[] = ['01:80:c2:00:00:0e', '01:80:c2:00:00:03'].flatMap((to) => [
  [`as the sibling by ${to}`, `${ether(to)}/${ip(ALICE.own[1], HOST[1])}/${UDP}`],
  [`as an unused address by ${to}`, `${ether(to)}/${ip(FOREIGN['an unused address'][1], HOST[1])}/${UDP}`],
  ...OTHERS.map(
    (mac): Attack => [`from ${mac} by ${to}`, `${ether(to, mac)}/${ip(FOREIGN['the internet'][1], HOST[1])}/${UDP}`],
  ),
]);
