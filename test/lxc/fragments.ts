/** Fragments that never become a whole packet, and packets that come in many and do. */
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import type { Attack } from './hostile.ts';

/** The kernel's 4 MiB hold a quarter of them. */
const INCOMPLETE = 6_000;

/** `v4`, `v6`: expressions of the sources. */
export const firstFragments = (v4 = 'ME4', v6 = 'ME6'): Attack[] => [
  [
    'first fragments',
    `numbered(E/IP(src=${v4}, dst="${INTERNET[0]}", proto=17, flags="MF")/Raw(b"f" * 1400), ${INCOMPLETE})`,
  ],
  [
    'first fragments of IPv6',
    `numbered(E/IPv6(src=${v6}, dst="${INTERNET[1]}")/IPv6ExtHdrFragment(nh=17, m=1)/Raw(b"f" * 1400), ${INCOMPLETE})`,
  ],
];

/** A bound, and as much room as the kernel has of its own: with an administrator's values, which are left as they are. */
export const FEW_FRAGMENTS = 'connections: { fragments: 300/second }\n';
export const LITTLE_ROOM = {
  'net/ipv4/ipfrag_high_thresh': '4194303',
  'net/netfilter/nf_conntrack_frag6_high_thresh': '4194303',
};

/** Whether echoes of 20,000 bytes, in fourteen fragments each, come back from everywhere. */
export async function echoesLarge(ways: readonly (readonly [Place, readonly string[]])[]): Promise<boolean[]> {
  const options = ['-n', '-c', '5', '-i', '0.2', '-W', '4', '-s', '20000'];
  const all = ways.flatMap(([from, peers]) => peers.map((to) => from.runForResult('ping', [...options, to])));
  return (await Promise.all(all)).map(({ exitCode }) => exitCode === 0);
}

/** Each a frame of 60,000 bytes that says it is to be cut into segments later, which no MTU keeps back. */
export const UNCUT_FRAGMENTS: Attack = [
  'uncut fragments',
  `[])
import socket, struct
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
raw.bind(("eth0", 0))
raw.setsockopt(263, 15, 1)
offload = struct.pack("<BBHHHH", 1, 1, 54, 1400, 34, 16)
for n in range(1500):
    head = E/IP(src=ME4, dst="${INTERNET[0]}", id=n, flags="MF", len=60040)/TCP(dport=9, flags="A")
    raw.send(offload + bytes(head) + b"x" * 60000)
put([]`,
];
