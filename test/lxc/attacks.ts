/** Packets that no container may get out: each is a row of `hostile.ts`. */
import { ALICE, each, HOST, INTERNET, ip, ip6 } from './attack-targets.ts';
import type { Attack } from './hostile.ts';
import { ODD, SOURCE_ROUTES } from './odd-packets.ts';

const ICMP4_ERRORS: Readonly<Record<string, string>> = {
  'port unreachable': 'ICMP(type=3, code=3)',
  'fragmentation needed': 'ICMP(type=3, code=4, nexthopmtu=600)',
  'source quench': 'ICMP(type=4)',
  redirect: 'ICMP(type=5, code=1, gw=ME4)',
  'time exceeded': 'ICMP(type=11)',
  'parameter problem': 'ICMP(type=12)',
};
const ICMP6_ERRORS: Readonly<Record<string, string>> = {
  unreachable: 'ICMPv6DestUnreach(code=4)',
  'packet too big': 'ICMPv6PacketTooBig(mtu=1280)',
  'time exceeded': 'ICMPv6TimeExceeded()',
  'parameter problem': 'ICMPv6ParamProblem()',
};
/** `about` a packet that was never sent. */
const icmpErrors = [
  ...Object.entries(ICMP4_ERRORS).flatMap(([name, header]) =>
    each(`unsolicited ${name}`, 4, (to) => `${ip(to)}/${header}/IP(src=${to}, dst=ME4)/UDP(sport=7, dport=9)/M`),
  ),
  ...Object.entries(ICMP6_ERRORS).flatMap(([name, header]) =>
    each(`unsolicited ${name}`, 6, (to) => `${ip6(to)}/${header}/IPv6(src=${to}, dst=ME6)/UDP(sport=7, dport=9)/M`),
  ),
];

/** TCP from the middle of a connection that isn't. */
const orphans = [
  ['ACK without a flow', 'dport=22, sport=80, flags="A"'],
  ['RST without a flow', 'dport=22, sport=80, flags="R"'],
  ['SYN and ACK without a flow', 'dport=873, sport=80, flags="SA"'],
  ['FIN without a flow', 'dport=873, sport=80, flags="FA"'],
  ['XMAS', 'dport=22, flags="FPU"'],
  ['no flag at all', 'dport=873, flags=""'],
].flatMap(([name = '', segment]) => [
  ...each(name, 4, (to) => `${ip(to)}/TCP(${segment})/M`),
  ...each(name, 6, (to) => `${ip6(to)}/TCP(${segment})/M`),
]);

const plain = [
  ...each('echo request', 4, (to) => `${ip(to)}/ICMP()/M`),
  ...each('echo request', 6, (to) => `${ip6(to)}/ICMPv6EchoRequest(data=M)`),
  ...each('echo reply', 4, (to) => `${ip(to)}/ICMP(type=0)/M`),
  ...each('echo reply', 6, (to) => `${ip6(to)}/ICMPv6EchoReply(data=M)`),
  ...each('timestamp request', 4, (to) => `${ip(to)}/ICMP(type=13)/M`),
  ...each('node information', 6, (to) => `${ip6(to)}/ICMPv6NIQueryName(data=b"x")/M`),
  ...each('DNS', 4, (to) => `${ip(to)}/UDP(dport=53)/M`),
  ...each('DNS', 6, (to) => `${ip6(to)}/UDP(dport=53)/M`),
  ...each('SYN', 4, (to) => `${ip(to)}/TCP(dport=22, flags="S")/M`),
  ...each('SYN', 6, (to) => `${ip6(to)}/TCP(dport=22, flags="S")/M`),
  ...each('UDP to an allowed TCP port', 4, (to) => `${ip(to)}/UDP(dport=873)/M`),
  ...each('UDP from an allowed port', 4, (to) => `${ip(to)}/UDP(sport=873, dport=123)/M`),
];

const protocols = [
  ...each('GRE', 4, (to) => `${ip(to)}/GRE()/M`),
  ...each('GRE', 6, (to) => `${ip6(to)}/GRE()/M`),
  ...each('IP in IP', 4, (to) => `${ip(to)}/IP(src=ME4, dst="203.0.113.80")/UDP(dport=53)/M`),
  ...each('IPv6 in IP', 4, (to) => `${ip(to)}/IPv6(src=ME6, dst="2001:db8:ffff::80")/UDP(dport=53)/M`),
  ...each('IP in IPv6', 6, (to) => `${ip6(to)}/IP(src=ME4, dst="203.0.113.80")/UDP(dport=53)/M`),
  ...each('SCTP', 4, (to) => `${ip(to)}/SCTP(dport=873)/SCTPChunkInit()/M`),
  ...each('SCTP', 6, (to) => `${ip6(to)}/SCTP(dport=873)/SCTPChunkInit()/M`),
  ...[50, 51, 88, 89, 112, 136, 253].flatMap((protocol) =>
    each(`protocol ${protocol}`, 4, (to) => `E/IP(src=ME4, dst=${to}, proto=${protocol})/Raw(b"\\0" * 24)/M`),
  ),
  ...each('protocol 253', 6, (to) => `E/IPv6(src=ME6, dst=${to}, nh=253)/Raw(b"\\0" * 24)/M`),
];

const headers = [
  ...each('fragments of a datagram', 4, (to) => `fragment(${ip(to)}/UDP(dport=53)/Raw(M.load * 9), fragsize=64)`),
  ...each(
    'a later fragment that looks like an allowed port',
    4,
    (to) =>
      `[E/IP(src=ME4, dst=${to}, id=7, proto=6, frag=5, flags="MF")/Raw(bytes(TCP(dport=873)))/M, E/IP(src=ME4, dst=${to}, id=7, proto=6, flags="MF")/Raw(bytes(TCP(dport=22, flags="S"))[:16])/Raw(M.load)/Raw(b"x" * ((-(16 + len(M.load))) % 8)), E/IP(src=ME4, dst=${to}, id=7, proto=6, frag=2)/Raw(bytes(TCP(dport=22))[16:] + b"rest")/M]`,
    // What never becomes whole goes nowhere in the host itself.
  ).filter(([name]) => !name.includes(' to host ')),
  ...each(
    'fragments behind IPv6 headers',
    6,
    (to) => `fragment6(${ip6(to)}/IPv6ExtHdrFragment(id=9)/UDP(dport=53)/Raw(M.load * 60), 1280)`,
  ),
  ...each('an atomic fragment', 6, (to) => `${ip6(to)}/IPv6ExtHdrFragment(id=10)/UDP(dport=53)/M`),
  ...each('hop-by-hop options', 6, (to) => `${ip6(to)}/IPv6ExtHdrHopByHop()/UDP(dport=53)/M`),
  ...each('destination options', 6, (to) => `${ip6(to)}/IPv6ExtHdrDestOpt()/IPv6ExtHdrDestOpt()/TCP(dport=22)/M`),
  ...each('ICMP behind destination options', 6, (to) => `${ip6(to)}/IPv6ExtHdrDestOpt()/ICMPv6EchoRequest(data=M)`),
  ...each('options of IP', 4, (to) => `E/IP(src=ME4, dst=${to}, options=[IPOption_NOP()] * 4)/UDP(dport=53)/M`),
  ['a record of the route', 'E/IP(src=ME4, dst="203.0.113.80", options=[IPOption_RR()])/UDP(dport=53)/M'],
] satisfies Attack[];

const spoofed = [
  ...each('spoofed as a stranger', 4, (to) => `${ip(to, '"203.0.113.99"')}/TCP(dport=873, flags="S")/M`),
  ...each('spoofed as a stranger', 6, (to) => `${ip6(to, '"2001:db8:abcd::9"')}/TCP(dport=873, flags="S")/M`),
  ...each('spoofed as a neighbour of the host', 4, (to) => `${ip(to, '"192.0.2.2"')}/TCP(dport=873, flags="S")/M`),
  ...each(
    'spoofed as the router of the uplink',
    6,
    (to) => `${ip6(to, '"2001:db8:0:1::2"')}/TCP(dport=873, flags="S")/M`,
  ),
  ...each('spoofed as its gateway', 4, (to) => `${ip(to, '"169.254.0.9"')}/TCP(dport=873, flags="S")/M`),
  ['spoofed as its gateway to host IPv6', `${ip6('"fe80::1"', '"fe80::9"')}/TCP(dport=873, flags="S")/M`],
  ['martian: spoofed as its own gateway', `${ip(`"${HOST[0]}"`, '"169.254.0.1"')}/TCP(dport=873, flags="S")/M`],
  ['martian: spoofed as its own gateway IPv6', `${ip6(`"${HOST[1]}"`, '"fe80::1"')}/TCP(dport=873, flags="S")/M`],
  ...each('spoofed as an unused address', 6, (to) => `${ip6(to, '"2001:db8:100::67"')}/TCP(dport=873, flags="S")/M`),
  ['spoofed as a sibling to host IPv4', `${ip('"192.0.2.1"', `"${ALICE[0]}"`)}/TCP(dport=873, flags="S")/M`],
  ['spoofed as a sibling to host IPv6', `${ip6('"2001:db8:0:1::1"', `"${ALICE[1]}"`)}/TCP(dport=873, flags="S")/M`],
  ['spoofed as a sibling to internet IPv4', `${ip('"203.0.113.80"', `"${ALICE[0]}"`)}/UDP(dport=53)/M`],
  ['spoofed as the host to a sibling IPv6', `${ip6(`"${ALICE[1]}"`, `"${HOST[1]}"`)}/UDP(dport=53)/M`],
  ['martian: spoofed as the host to a sibling IPv4', `${ip(`"${ALICE[0]}"`, `"${HOST[0]}"`)}/UDP(dport=53)/M`],
  ['martian: spoofed as the host to itself IPv4', `${ip(`"${HOST[0]}"`, `"${HOST[0]}"`)}/TCP(dport=873)/M`],
  ['martian: spoofed as loopback', `${ip(`"${HOST[0]}"`, '"127.0.0.1"')}/TCP(dport=873)/M`],
  ['martian: spoofed as loopback IPv6', `${ip6(`"${HOST[1]}"`, '"::1"')}/TCP(dport=873)/M`],
  ['martian: from a multicast address', `${ip(`"${HOST[0]}"`, '"224.0.0.5"')}/UDP(dport=873)/M`],
  ['martian: from no address to the host IPv6', `${ip6(`"${HOST[1]}"`, '"::"')}/TCP(dport=873, flags="S")/M`],
  [
    'from no address to all IPv4',
    'Ether(dst="ff:ff:ff:ff:ff:ff")/IP(src="0.0.0.0", dst="255.255.255.255")/UDP(dport=67)/M',
  ],
] satisfies Attack[];

const ALL4 = 'Ether(dst="ff:ff:ff:ff:ff:ff")';
const nearby = [
  ['limited broadcast', `${ALL4}/IP(src=ME4, dst="255.255.255.255")/UDP(dport=53)/M`],
  ['broadcast of the LAN', `${ip('"192.0.2.255"')}/UDP(dport=53)/M`],
  ['multicast to all hosts', 'Ether(dst="01:00:5e:00:00:01")/IP(src=ME4, dst="224.0.0.1")/UDP(dport=5353)/M'],
  ['multicast to all nodes', 'Ether(dst="33:33:00:00:00:01")/IPv6(src=ME6, dst="ff02::1")/UDP(dport=5353)/M'],
  ['multicast to all routers', 'Ether(dst="33:33:00:00:00:02")/IPv6(src=ME6, dst="ff02::2")/UDP(dport=547)/M'],
  ['link-local gateway', `${ip6('"fe80::1"')}/UDP(dport=53)/M`],
  ['link-local gateway, another port', `${ip6('"fe80::1"')}/TCP(dport=22)/M`],
  ['from link-local to the gateway', `${ip6('"fe80::1"', '"fe80::66"')}/TCP(dport=873, flags="S")/M`],
  ['from link-local to the host', `${ip6(`"${HOST[1]}"`, '"fe80::66"')}/TCP(dport=873, flags="S")/M`],
  ['echo from link-local', `${ip6('"fe80::1"', '"fe80::66"')}/ICMPv6EchoRequest(data=M)`],
] satisfies Attack[];

/** What only routers and servers of a link's own say. */
const routers = [
  ...each("a DHCP server's offer", 4, (to) => `${ip(to)}/UDP(sport=67, dport=68)/M`),
  ...each("a DHCPv6 server's reply", 6, (to) => `${ip6(to)}/UDP(sport=547, dport=546)/M`),
  ["a DHCPv6 server's reply", `${ip6('"fe80::1"', '"fe80::66"')}/UDP(sport=547, dport=546)/M`],
  ...each("a router's advertisement", 4, (to) => `${ip(to)}/ICMP(type=9)/M`),
  [
    "a router's advertisement",
    'Ether(dst="33:33:00:00:00:01")/IPv6(src="fe80::66", dst="ff02::1", hlim=255)/ICMPv6ND_RA()/M',
  ],
  [
    'a redirect',
    `E/IPv6(src="fe80::66", dst="fe80::1", hlim=255)/ICMPv6ND_Redirect(tgt="fe80::66", dst="${INTERNET[1]}")/M`,
  ],
] satisfies Attack[];

/** What listens for the host alone, where the host lets loopback addresses come in by a wire. */
const loopback: readonly Attack[] = [
  ['a loopback address of the host by way of an allowed port', `${ip('"127.0.0.1"')}/TCP(dport=873, flags="S")/M`],
];

/** What no policy can allow. */
export const NEVER: readonly Attack[] = [
  ...[...orphans, ...icmpErrors, ...spoofed, ...routers, ...SOURCE_ROUTES],
  ...loopback,
];

/** What a container can't get out that may reach two TCP ports of its host. */
export const ATTACKS: readonly Attack[] = [...plain, ...protocols, ...headers, ...nearby, ...ODD, ...NEVER];
