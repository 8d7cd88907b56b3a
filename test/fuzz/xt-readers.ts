/** Readers of what iptables, ip6tables, ipset and arptables list of our own rules, and of dnsmasq's leases. */

import { parseLeases } from '../../controller/bridged/leases.ts';
import { parseProtocolNames } from '../../controller/iptables/listed-by-xt.ts';
import { parseXtPolicy } from '../../controller/iptables/listed-xt-policy.ts';
import { type Meanings, parseListedRule } from '../../controller/iptables/listed-xt-rule.ts';
import { parseXtArp, parseXtSets, parseXtTables } from '../../render/iptables/xt-listing.ts';
import { parseMac } from '../../render/mac.ts';
import { FILE, LINE, type Reader } from './reader.ts';

const SAVED = `*raw
:PREROUTING ACCEPT [0:0]
:RW-ANTISPOOF - [0:0]
-A PREROUTING -j RW-ANTISPOOF
COMMIT
*filter
:INPUT ACCEPT [0:0]
:RW-E-DROP - [0:0]
-A INPUT -i veth+ -j RW-E-DROP
-A RW-E-DROP -p tcp -m tcp --dport 80 -m comment --comment "containers/web.yaml:3:5" -j ACCEPT
-A RW-E-DROP -j DROP
COMMIT
`;

const meanings: Meanings = {
  ...{ nameOf: () => undefined, rangesOf: () => undefined, protocolOf: () => undefined },
  limitOf: (_, listed) => listed,
};
const PLACE = { family: 4, direction: 'egress', meanings } as const;

const policies = (text: string): unknown =>
  [...parseXtTables(text).tables.values()].map(({ chains }) =>
    [...chains.values()].map((lines) => parseXtPolicy(lines, PLACE)),
  );

export const xtReaders: readonly Reader[] = [
  { name: "iptables' own listing", corpus: [SAVED], read: policies, longest: FILE },
  {
    name: "ipset's listing",
    corpus: ['create RW-owned4 hash:net,iface family inet hashsize 64\nadd RW-owned4 198.51.100.10,veth1\n'],
    read: parseXtSets,
    longest: FILE,
  },
  {
    name: "arptables' listing",
    corpus: ['*filter\n:INPUT ACCEPT\n:RW-ARP -\n-A INPUT -j RW-ARP\n-A RW-ARP -j DROP -i veth1\n'],
    read: parseXtArp,
    longest: FILE,
  },
  {
    name: "dnsmasq's leases",
    corpus: [
      '1795689000 00:16:3e:00:00:0a 198.51.100.10 web *\nduid 00:01:00:01:2a:00:00:00:00:16:3e:00:00:0a\n0 1 2001:db8::a web 00:03:00:01:00:16:3e:00:00:0a\n',
    ],
    read: parseLeases,
    longest: FILE,
  },
  {
    name: "a rule of iptables' listing",
    corpus: [
      '-d 192.0.2.0/24 -p tcp -m multiport --dports 80,443:450 -m comment --comment "web.yaml:3" -j RETURN',
      '-p tcp -m tcp --dport 22 -m time --datestart 2026-06-08T00:00:00 --datestop 2038-01-19T03:14:07 -m hashlimit --hashlimit-above 2/sec --hashlimit-burst 5 --hashlimit-name RWa -g RW-E-DROP',
    ],
    read: (text) => parseListedRule(text, PLACE),
    longest: LINE,
  },
  {
    name: 'names of protocols',
    corpus: ['# Internet (IP) protocols\nip\t0\tIP\t\t# pseudo protocol\nipencap\t4\tIP-ENCAP\n'],
    read: parseProtocolNames,
    longest: FILE,
  },
  { name: 'a hardware address', corpus: ['00:16:3e:00:00:0a'], read: parseMac, longest: LINE },
];
