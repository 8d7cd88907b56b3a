/**
 * Links under the names of `veth.pair`, which to routewall are containers that run, and cost no LXC. They flood from the
 * moment in which they are up.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../sandbox/host.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { nic } from '../lxc/routewall.ts';
import { FORBIDDEN } from './traffic.ts';

export interface StandIns {
  readonly names: readonly string[];
  /** Those that run. */
  readonly up: ReadonlySet<string>;
  /** All at once; those that run already stay. */
  start(names: readonly string[]): Promise<void>;
  stop(names: readonly string[]): Promise<void>;
}

export const vethOf = (name: string): string => `cveth-${name}`;

/** The host's end, so that frames reach it without asking. */
const MAC = '02:00:00:00:00:01';
/** Milliseconds: the kernel makes and deletes links for one namespace of the machine after another. */
const PATIENCE = 120_000;

/**
 * Whole frames to whatever of `NAME=ADDRESS4,ADDRESS6` is there, since a stranger's neighbours aren't answered; both
 * families, valid checksums. An interface by its index: the next one of that name is another.
 */
const FLOOD = `
import socket, struct, sys, time
port, mac, to4, to6 = int(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(':', '')), sys.argv[3], sys.argv[4]
def summed(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def frames(v4, v6):
    ether = mac + b'\\x02\\0\\0\\0\\0\\x02'
    def udp(family, source, target):
        ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
        bare = struct.pack('!HHHH', port, port, 10, 0) + b'x\\0'
        return ends, struct.pack('!HHHH', port, port, 10, summed(ends + struct.pack('!HH', 17, 10) + bare)) + b'x\\0'
    ends, data = udp(socket.AF_INET, v4, to4)
    head = struct.pack('!BBHHHBBH', 0x45, 0, 30, 0, 0, 64, 17, 0) + ends
    head = head[:10] + struct.pack('!H', summed(head)) + head[12:]
    yield ether + b'\\x08\\x00' + head + data
    ends, data = udp(socket.AF_INET6, v6, to6)
    yield ether + b'\\x86\\xdd' + struct.pack('!IHBB', 6 << 28, 10, 17, 64) + ends + data
mine = {}
for word in sys.argv[5:]:
    name, addresses = word.split('=')
    mine[name] = list(frames(*addresses.split(',')))
print('floods', flush=True)
sockets = {}
while True:
    there = {index: name for index, name in socket.if_nameindex() if name in mine}
    for index in set(sockets) - set(there): sockets.pop(index).close()
    for index, name in there.items():
        try:
            if index not in sockets:
                sockets[index] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                sockets[index].bind((name, 0))
            for frame in mine[name]: sockets[index].send(frame)
        except OSError: pass
    time.sleep(0.005)
`;

export async function makeStandIns(
  { host, lxcPath }: Host,
  addresses: ReadonlyMap<string, readonly [string, string]>,
  to: readonly [string, string],
): Promise<StandIns> {
  for (const [name, own] of addresses) {
    await mkdir(join(lxcPath, name));
    const lines = nic(own, { extra: [`veth.pair = ${vethOf(name)}`] });
    await writeFile(join(lxcPath, name, 'config'), `${lines.join('\n')}\n`);
  }
  const inner = await createNamespace('inner');
  const words = [...addresses].map(([name, own]) => `peer-${name}=${own.join(',')}`);
  const flood = inner.spawn('/usr/bin/python3', ['-c', FLOOD, String(FORBIDDEN), MAC, ...to, ...words]);
  await flood.waitForLine(/floods/);
  const up = new Set<string>();
  const batch = (lines: readonly string[]): Promise<unknown> =>
    host.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, timeout: PATIENCE });
  return {
    names: [...addresses.keys()],
    up,
    start: async (names) => {
      const fresh = names.filter((name) => !up.has(name));
      for (const name of fresh) up.add(name);
      const lines = fresh.flatMap((name) => [
        `link add ${vethOf(name)} address ${MAC} type veth peer name peer-${name} netns ${inner.name}`,
        `link set ${vethOf(name)} up`,
      ]);
      if (lines.length > 0) await batch(lines);
      // The far end's, which makes the carrier.
      const peers = fresh.map((name) => `link set peer-${name} up`).join('\n');
      if (peers !== '') await inner.run('ip', ['-batch', '-'], { input: `${peers}\n`, timeout: PATIENCE });
    },
    stop: async (names) => {
      const gone = names.filter((name) => up.delete(name));
      if (gone.length > 0) await batch(gone.map((name) => `link del ${vethOf(name)}`));
    },
  };
}
