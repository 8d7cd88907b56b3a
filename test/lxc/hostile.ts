/** What a hostile root inside a container can send, and what of it comes out anywhere else. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../sandbox/child.ts';
import { makeFolder } from '../../sandbox/clean-up.ts';
import type { Place } from '../../sandbox/place.ts';

/**
 * A name, and the frames as a Python expression of scapy's: `E` is the Ethernet header to the host's side, `M` a mark in
 * the payload. The sender's own addresses are `ME4` and `ME6`.
 */
export type Attack = readonly [name: string, frames: string];

export interface Sender {
  readonly place: Place;
  readonly own: readonly [v4: string, v6: string];
  /** The host's hardware address, where the sender has none of its neighbours' yet. */
  readonly hostMac?: string;
}

const MARK = /rw-attack-(\d+)\|/g;

const PRELUDE = `
from scapy.all import *
conf.verb = 0
conf.ipv6_enabled = True
tap = conf.L2socket(iface="eth0")
def put(frames):
    for frame in (frames if isinstance(frames, list) else [frames]):
        tap.send(frame)
def numbered(frame, count):
    # Patched, since to put each together anew would take seconds. IPv6 has no checksum over it.
    frame = bytearray(bytes(frame))
    frames = []
    for n in range(count):
        if frame[12:14] == b"\\x08\\x00":
            frame[18:20] = n.to_bytes(2, "big")
            frame[24:26] = b"\\0\\0"
            frame[24:26] = checksum(bytes(frame[14:34])).to_bytes(2, "big")
        else:
            frame[58:62] = n.to_bytes(4, "big")
        frames.append(bytes(frame))
    return frames
`;

/** Sends each once, in order. */
export async function attack({ place, own, hostMac }: Sender, attacks: readonly Attack[]): Promise<void> {
  const mac = hostMac ?? (await gatewayMac(place));
  const lines = attacks.map(([, frames], index) => `M = Raw("rw-attack-${index}|" * 3); put(${frames})`);
  const names = `E = Ether(dst="${mac}"); HOSTMAC = "${mac}"; ME4 = "${own[0]}"; ME6 = "${own[1]}"`;
  await place.run('/usr/bin/python3', ['-'], {
    input: [PRELUDE, names, ...lines, ''].join('\n'),
    timeout: 120_000,
  });
}

async function gatewayMac(place: Place): Promise<string> {
  const { stdout } = await place.run('ip', ['neigh', 'show', 'dev', 'eth0']);
  const mac = / lladdr (\S+)/.exec(stdout)?.[1];
  if (mac === undefined) throw new Error(`${place.label}: does not know its gateway yet\n${stdout}`);
  return mac;
}

export interface Witness {
  /** Names of the attacks whose packets were seen so far. */
  seen(attacks: readonly Attack[]): string[];
  stop(): Promise<void>;
}

const GROUP = 77;

export interface Watched {
  /** What leaves by these. */
  readonly devices: readonly string[];
  /** What passes the whole input hook into the host itself, of what comes in by this one. */
  readonly from: string;
  /** What a bridge takes for the host's own, before any hook of IP. */
  readonly bridge?: string;
}

/** Sees packets with a mark. */
export async function startWitness(host: Place, { devices, from, bridge }: Watched): Promise<Witness> {
  const rule = `iifname "${from}" log group ${GROUP} queue-threshold 1`;
  await host.run('nft', [`table inet witness { chain input { type filter hook input priority 300; ${rule}; }; }`]);
  const folder = await makeFolder();
  const files: string[] = [];
  const watch = async (device: string, direction: readonly string[]): Promise<Child> => {
    const file = join(folder, `${files.length}.pcap`);
    files.push(file);
    // Short frames, since immediate mode reserves the whole length for each and the buffer would hold a few dozen.
    const options = [
      '-n',
      '-U',
      '--immediate-mode',
      '-B',
      '8192',
      '-s',
      '2000',
      ...direction,
      '-i',
      device,
      '-w',
      file,
    ];
    const child = host.spawn('tcpdump', ['-Z', 'root', ...options]);
    await child.waitForLine(/listening on/);
    return child;
  };
  const children = await Promise.all([
    ...devices.map((device) => watch(device, ['-Q', 'out'])),
    // A promiscuous bridge would hand up what is others'.
    ...(bridge === undefined ? [] : [watch(bridge, ['-Q', 'in', '-p'])]),
    watch(`nflog:${GROUP}`, []),
  ]);
  return {
    seen: (attacks) => {
      const texts = files.map((file) => readFileSync(file, 'latin1'));
      const marks = new Set(texts.flatMap((text) => [...text.matchAll(MARK)].map(([, mark]) => Number(mark))));
      return attacks.filter((_, index) => marks.has(index)).map(([name]) => name);
    },
    stop: async () => {
      await Promise.all(children.map((child) => child.stop('SIGINT')));
      await host.run('nft', ['delete', 'table', 'inet', 'witness']);
    },
  };
}
