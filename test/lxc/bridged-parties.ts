/** Who is on the bridge when its containers are attacked, and the beginnings of the frames. */
export const MALLORY = { mac: '02:16:3e:00:00:66', own: ['198.51.100.150', '2001:db8:200::150'] } as const;
export const ALICE = { mac: '02:16:3e:00:00:0a', own: ['198.51.100.160', '2001:db8:200::160'] } as const;
/** Gets its addresses by DHCP. */
export const EARLY = { mac: '02:16:3e:00:00:ee', own: ['198.51.100.205', '2001:db8:200::205'] } as const;

export const HOST = ['198.51.100.129', '2001:db8:200::1'] as const;
export const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'] as const;
export const FOREIGN = {
  mac: '02:16:3e:00:00:99',
  'an unused address': ['198.51.100.177', '2001:db8:200::177'],
  'the internet': ['203.0.113.99', '2001:db8:abcd::9'],
  'the sibling': ALICE.own,
  'the host': HOST,
} as const;

/** Link-local, of their hardware addresses. */
export const MALLORY_LL = 'fe80::16:3eff:fe00:66';
export const ALICE_LL = 'fe80::16:3eff:fe00:a';
export const EARLY_LL = 'fe80::16:3eff:fe00:ee';

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
export const ALL_NODES = '33:33:00:00:00:01';

export const ether = (to: string, from: string = MALLORY.mac): string =>
  `Ether(dst=${to === 'HOSTMAC' ? to : `"${to}"`}, src=${from === 'HOSTMAC' ? from : `"${from}"`})`;
export const ip = (from: string, to: string): string =>
  from.includes(':') || to.includes(':') ? `IPv6(src="${from}", dst="${to}")` : `IP(src="${from}", dst="${to}")`;
export const UDP = 'UDP(sport=7, dport=9)/M';
/** An option of neighbour discovery that nobody knows, so that the mark is part of the message. */
export const ND_MARK = 'ICMPv6NDOptUnknown(type=253, len=(len(M.load)+2+7)//8, data=M.load+b" "*((-len(M.load)-2)%8))';
export const nd = (from: string, to: string, message: string, mac: string = ALL_NODES): string =>
  `${ether(mac)}/IPv6(src="${from}", dst="${to}", hlim=255)/${message}/${ND_MARK}`;
export const FAMILIES = [
  [0, 'IPv4'],
  [1, 'IPv6'],
] as const;

export const arp = (
  fields: string,
  { to = BROADCAST, from = MALLORY.mac }: { to?: string; from?: string } = {},
): string => `${ether(to, from)}/ARP(${fields})/M`;
export const me = `hwsrc="${MALLORY.mac}"`;
export const na = (target: string, flags = 'R=1, S=0, O=1'): string =>
  `ICMPv6ND_NA(tgt="${target}", ${flags})/ICMPv6NDOptDstLLAddr(lladdr="${MALLORY.mac}")`;
export const ns = (target: string): string =>
  `ICMPv6ND_NS(tgt="${target}")/ICMPv6NDOptSrcLLAddr(lladdr="${MALLORY.mac}")`;
