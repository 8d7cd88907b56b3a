/** A host with many containers' interfaces and one uplink, whose other ends send whatever frames a test makes. */
import type { Child } from '../../../sandbox/child.ts';
import { createNamespace, type Namespace, setSysctls } from '../../../sandbox/namespace.ts';
import { runIp } from '../../../sandbox/wire.ts';
import { datagramsOf, framesOf, HOST_MAC, type SentPacket } from './frames.ts';

export const UPLINK = ['192.0.2.1/24', '2001:db8::1/64'] as const;
export const nameOfContainer = (index: number): string => `c${index}`;
export const addressesOfContainer = (index: number): readonly [string, string] => [
  `198.18.${(index + 1) >> 8}.${(index + 1) & 255}`,
  `2001:db8:c::${(index + 1).toString(16)}`,
];

/** Who hands the packet to the host: a container, the uplink, or its own kernel. */
export type Sender = number | 'uplink' | 'host';

export interface Bed {
  readonly host: Namespace;
  send(packets: readonly { readonly from: Sender; readonly packet: SentPacket }[]): Promise<void>;
}

const QUIET = { 'net/ipv6/conf/all/disable_ipv6': '1', 'net/ipv6/conf/default/disable_ipv6': '1' };
const ROUTER = {
  'net/ipv4/ip_forward': '1',
  'net/ipv6/conf/all/forwarding': '1',
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '0',
  'net/ipv6/conf/default/accept_dad': '0',
  // Each refusal is to be heard.
  'net/ipv4/icmp_ratemask': '0',
  'net/ipv6/icmp/ratelimit': '0',
  'net/ipv6/icmp/ratemask': '255',
};

export async function createBed(containers: number): Promise<Bed> {
  const host = await createNamespace('host');
  const outside = await createNamespace('outside');
  await setSysctls(host, ROUTER);
  await setSysctls(outside, QUIET);
  const indices = Array.from({ length: containers }, (_, index) => index);
  const pair = (hostEnd: string, end: string): string =>
    `link add ${hostEnd} address ${HOST_MAC} type veth peer name ${end} netns ${outside.name}`;
  const names = indices.map(nameOfContainer);
  await runIp(host, [pair('eth0', 'uplink'), ...names.map((name) => pair(`veth${name}`, name))]);
  // Nobody answers for an address here, and nobody needs to.
  await runIp(host, [
    ...['eth0', ...names.map((name) => `veth${name}`)].map((dev) => `link set ${dev} arp off up`),
    ...UPLINK.map((address) => `address add ${address} dev eth0`),
    'route add default dev eth0',
    'route add ::/0 dev eth0',
    ...indices.flatMap((index) =>
      addressesOfContainer(index).map((address) => `route add ${address} dev veth${nameOfContainer(index)}`),
    ),
  ]);
  await runIp(
    outside,
    ['uplink', ...names].map((dev) => `link set ${dev} up`),
  );
  return { host, send: createSender(host, outside) };
}

/** Frames by interface, datagrams by destination; `end` says when all are out. */
const PYTHON = `
import socket, sys, time
links, raws = {}, {}
count = 0
for line in sys.stdin:
    words = line.split()
    if words[0] == 'end':
        print('sent', flush=True)
        continue
    data = bytes.fromhex(words[2])
    if words[0] == 'frame':
        if words[1] not in links:
            links[words[1]] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            links[words[1]].bind((words[1], 0))
        links[words[1]].send(data)
    else:
        family = socket.AF_INET6 if ':' in words[1] else socket.AF_INET
        if family not in raws: raws[family] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        # Our own refusal is an error of the system call.
        try: raws[family].sendto(data, (words[1], 0))
        except OSError: pass
    count += 1
    # The kernel's backlog takes a thousand.
    if count % 64 == 0: time.sleep(0.001)
`;

function createSender(host: Namespace, outside: Namespace): Bed['send'] {
  const start = (place: Namespace): Child => place.spawn('/usr/bin/python3', ['-u', '-c', PYTHON]);
  const [fromHost, fromOutside] = [start(host), start(outside)];
  return async (packets) => {
    const lines = (wanted: 'host' | 'outside'): string =>
      packets
        .filter(({ from }) => (from === 'host') === (wanted === 'host'))
        .flatMap((one) => commandsFor(one))
        .join('');
    for (const [child, wanted] of [
      [fromOutside, 'outside'],
      [fromHost, 'host'],
    ] as const) {
      const after = child.lines.length;
      child.write(`${lines(wanted)}end\n`);
      await child.waitForLine(/^sent$/, { after, timeout: 60_000 });
    }
  };
}

function commandsFor({ from, packet }: { readonly from: Sender; readonly packet: SentPacket }): string[] {
  if (from === 'host') return datagramsOf(packet).map((data) => `raw ${packet.destination} ${data.toString('hex')}\n`);
  const link = from === 'uplink' ? from : nameOfContainer(from);
  return framesOf(packet).map((data) => `frame ${link} ${data.toString('hex')}\n`);
}
