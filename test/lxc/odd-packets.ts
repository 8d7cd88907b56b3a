/** Packets that hide what they are: header chains, fragments, tunnels, tags, every protocol there is. */
import { ALICE, each, HOST, INTERNET, ip, ip6 } from './attack-targets.ts';
import type { Attack } from './hostile.ts';

/** Next to each other in any order; AH hides what follows from who doesn't look for it. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  options: 'IPv6ExtHdrDestOpt()',
  fragment: 'IPv6ExtHdrFragment(id=21)',
  ah: 'AH(spi=9, seq=1, icv=b"\\0" * 12, padding=b"")',
};

/** All orders of one to all of them. */
function orders<T>(list: readonly T[]): T[][] {
  return list.flatMap((one) => [[one], ...orders(list.filter((other) => other !== one)).map((rest) => [one, ...rest])]);
}

const headerChains = orders(Object.entries(EXTENSIONS)).flatMap((chain) =>
  ['', 'IPv6ExtHdrHopByHop()'].flatMap((first) => {
    const headers = [...(first === '' ? [] : [first]), ...chain.map(([, header]) => header)].join('/');
    const name = [...(first === '' ? [] : ['hop-by-hop']), ...chain.map(([word]) => word)].join(', ');
    return each(`${name} before a forbidden port`, 6, (to) => `${ip6(to)}/${headers}/UDP(dport=53)/M`);
  }),
);

const PROTOCOLS = Array.from({ length: 256 }, (_, protocol) => protocol);
const protocols = PROTOCOLS.flatMap((protocol) => [
  ...each(`protocol ${protocol}`, 4, (to) => `E/IP(src=ME4, dst=${to}, proto=${protocol})/Raw(b"\\0" * 24)/M`, [
    'host',
    'internet',
  ]),
  ...each(`next header ${protocol}`, 6, (to) => `E/IPv6(src=ME6, dst=${to}, nh=${protocol})/Raw(b"\\0" * 24)/M`, [
    'host',
    'internet',
  ]),
]);

type Pieces = readonly (readonly [at: number, payload: string, more: boolean])[];

/** `at` and what follows: pieces by their offset in units of eight bytes. */
const pieces = (to: string, id: number, list: Pieces): string =>
  `[${list
    .map(
      ([at, payload, more]) =>
        `E/IP(src=ME4, dst=${to}, id=${id}, proto=6, frag=${at}, flags="${more ? 'MF' : ''}")/Raw(${payload})`,
    )
    .join(', ')}]`;
const pieces6 = (to: string, id: number, list: Pieces): string =>
  `[${list
    .map(
      ([at, payload, more]) =>
        `${ip6(to)}/IPv6ExtHdrFragment(id=${id}, nh=6, offset=${at}, m=${more ? 1 : 0})/Raw(${payload})`,
    )
    .join(', ')}]`;
const ALLOWED = 'bytes(TCP(dport=873, flags="S"))';
const FORBIDDEN = 'bytes(TCP(dport=22, flags="S"))';
const MARK = 'M.load + b"x" * (-len(M.load) % 8)';

/** Never whole, so that the host itself gets nothing of it: they are aimed at what lies behind. */
const fragments = [
  ...each(
    'an overlap that replaces the port',
    4,
    (to) =>
      pieces(to, 31, [
        [0, `${ALLOWED} + b"abcd" + ${MARK}`, true],
        [0, `${FORBIDDEN} + b"abcd"`, true],
        [3, MARK, false],
      ]),
    ['sibling', 'internet'],
  ),
  ...each(
    'a first fragment of eight bytes',
    4,
    (to) =>
      pieces(to, 32, [
        [0, `${ALLOWED}[:8]`, true],
        [1, `${FORBIDDEN}[8:] + b"abcd" + ${MARK}`, false],
      ]),
    ['sibling', 'internet'],
  ),
  ...each('a last fragment alone', 4, (to) => pieces(to, 33, [[64, MARK, false]]), ['sibling', 'internet']),
  ...each('a last fragment alone', 6, (to) => `${ip6(to)}/IPv6ExtHdrFragment(id=34, offset=64, nh=6)/M`, [
    'sibling',
    'internet',
  ]),
  ...each(
    'an overlap that replaces the port',
    6,
    (to) =>
      pieces6(to, 36, [
        [0, `${ALLOWED} + b"abcd" + ${MARK}`, true],
        [0, `${FORBIDDEN} + b"abcd"`, true],
        [3, MARK, false],
      ]),
    ['sibling', 'internet'],
  ),
  ...each(
    'a first fragment of eight bytes',
    6,
    (to) =>
      pieces6(to, 37, [
        [0, `${ALLOWED}[:8]`, true],
        [1, `${FORBIDDEN}[8:] + b"abcd" + ${MARK}`, false],
      ]),
    ['sibling', 'internet'],
  ),
  ...each('a piece that ends beyond 64 KiB', 4, (to) => pieces(to, 35, [[8189, `${MARK} + b"y" * 64`, false]]), [
    'internet',
  ]).map(([name, frames]): Attack => [`martian: ${name}`, frames]),
];

const tunnels = [
  ...each('VXLAN', 4, (to) => `${ip(to)}/UDP(dport=4789)/VXLAN(vni=7)/Ether()/IP(dst=${to})/UDP(dport=53)/M`),
  ...each('Teredo', 4, (to) => `${ip(to)}/UDP(dport=3544)/IPv6(dst="${INTERNET[1]}")/UDP(dport=53)/M`),
  ...each('GENEVE', 6, (to) => `${ip6(to)}/UDP(dport=6081)/M`),
  ...each('data in an echo', 4, (to) => `${ip(to)}/ICMP()/Raw(M.load * 20)`),
  ...each(
    'data in a DNS question',
    6,
    (to) => `${ip6(to)}/UDP(dport=53)/DNS(qd=DNSQR(qname=M.load.replace(b"|", b"|.")))/M`,
  ),
  ...each('ESP', 6, (to) => `E/IPv6(src=ME6, dst=${to}, nh=50)/Raw(b"\\0\\0\\1\\0" * 6)/M`),
  ...each('UDP-Lite', 4, (to) => `E/IP(src=ME4, dst=${to}, proto=136)/Raw(bytes(UDP(dport=873)))/M`),
  ...each('UDP-Lite', 6, (to) => `E/IPv6(src=ME6, dst=${to}, nh=136)/Raw(bytes(UDP(dport=873)))/M`),
  ...each('no next header', 6, (to) => `E/IPv6(src=ME6, dst=${to}, nh=59)/M`),
];

const OTHER = '"02:00:00:00:00:99"';
const linkLayer = [
  [
    'from another hardware address',
    `Ether(src=${OTHER}, dst=HOSTMAC)/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`,
  ],
  ['to the broadcast hardware address', `Ether(dst="ff:ff:ff:ff:ff:ff")/IP(src=ME4, dst="${HOST[0]}")/UDP(dport=53)/M`],
  ['with one hop left', `E/IP(src=ME4, dst="${HOST[0]}", ttl=1)/UDP(dport=53)/M`],
  ['with no hop left', `E/IPv6(src=ME6, dst="${HOST[1]}", hlim=0)/UDP(dport=53)/M`],
  [
    'an IGMP query',
    'Ether(dst="01:00:5e:00:00:01")/IP(src=ME4, dst="224.0.0.1", ttl=1, proto=2)/Raw(b"\\x11\\0\\xee\\xff\\0\\0\\0\\0")/M',
  ],
  [
    'an IGMP report',
    'Ether(dst="01:00:5e:00:00:01")/IP(src=ME4, dst="224.0.0.1", ttl=1, proto=2)/Raw(b"\\x16\\0\\x09\\x04\\xe0\\0\\0\\xfb")/M',
  ],
  [
    'an MLD query',
    'Ether(dst="33:33:00:00:00:01")/IPv6(src="fe80::66", dst="ff02::1", hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert()])/ICMPv6MLQuery()/M',
  ],
  ...each('an MLD report', 6, (to) => `E/IPv6(src=ME6, dst=${to}, hlim=64)/ICMPv6MLReport()/M`, [
    'sibling',
    'internet',
  ]),
  ...each('a neighbour solicitation', 6, (to) => `E/IPv6(src=ME6, dst=${to}, hlim=255)/ICMPv6ND_NS(tgt=${to})/M`, [
    'sibling',
    'internet',
  ]),
  ['martian: to another hardware address', `Ether(dst=${OTHER})/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`],
  ['martian: in a VLAN', `Ether(dst=HOSTMAC)/Dot1Q(vlan=5)/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`],
  ['martian: in VLAN 0', `Ether(dst=HOSTMAC)/Dot1Q(vlan=0)/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`],
  [
    'martian: in a VLAN of a VLAN',
    `Ether(dst=HOSTMAC, type=0x88a8)/Dot1Q(vlan=5)/Dot1Q(vlan=6)/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`,
  ],
  ...[0x88b5, 0x8847, 0x8864, 0x88cc, 0x22f0, 0x0842].map(
    (type): Attack => [
      `martian: ethertype ${type.toString(16)}`,
      `Ether(dst=HOSTMAC, type=${type})/IP(src=ME4, dst="${INTERNET[0]}")/UDP(dport=53)/M`,
    ],
  ),
  [
    'martian: a jumbogram',
    `E/IPv6(src=ME6, dst="${INTERNET[1]}", nh=0, plen=0)/IPv6ExtHdrHopByHop(nh=17, options=[Jumbo(jumboplen=70000)])/UDP(dport=53)/M`,
  ],
] satisfies Attack[];

const routedBy = (option: string, to: string, layer4: string): string =>
  `E/IP(src=ME4, dst="${HOST[0]}", options=[${option}(routers=["${to}"])])/${layer4}/M`;

/** To a service that is allowed, and by the way to one that isn't. */
export const SOURCE_ROUTES: readonly Attack[] = [
  // A strict route leads over neighbours only.
  ...[
    ['IPOption_LSRR', INTERNET[0]],
    ['IPOption_LSRR', ALICE[0]],
    ['IPOption_SSRR', '192.0.2.2'],
    ['IPOption_SSRR', ALICE[0]],
  ].flatMap(([option = '', to = '']): Attack[] => [
    [`${option} to ${to}`, routedBy(option, to, 'UDP(dport=53)')],
    [`${option} to ${to} by way of an allowed port`, routedBy(option, to, 'TCP(dport=873, flags="S")')],
  ]),
  ...[0, 2, 3, 4].map(
    (type): Attack => [
      `routing header of type ${type} by way of an allowed port`,
      `E/IPv6(src=ME6, dst="${HOST[1]}")/IPv6ExtHdrRouting(type=${type}, segleft=1, addresses=["${INTERNET[1]}"])/TCP(dport=873, flags="S")/M`,
    ],
  ),
  // Seen in none of the fragments: the first ends before it.
  ...[
    ['behind options in a later fragment', 60, 'IPv6ExtHdrDestOpt(nh=43)'],
    ['that begins in one fragment and ends in another', 43, ''],
  ].map(([where, first, before]): Attack => {
    const routing = `IPv6ExtHdrRouting(type=4, segleft=1, addresses=["${INTERNET[1]}"])/TCP(dport=873, flags="S")/M`;
    const whole = `bytes(${before === '' ? '' : `${before}/`}${routing})`;
    const piece = (offset: number, part: string): string =>
      `E/IPv6(src=ME6, dst="${HOST[1]}")/IPv6ExtHdrFragment(nh=${first}, offset=${offset}, m=${offset === 0 ? 1 : 0}, id=${40 + Number(first)})/Raw(${whole}${part})`;
    return [`routing header ${where}`, `[${piece(0, '[:8]')}, ${piece(1, '[8:]')}]`];
  }),
];

export const ODD: readonly Attack[] = [...headerChains, ...protocols, ...fragments, ...tunnels, ...linkLayer];
