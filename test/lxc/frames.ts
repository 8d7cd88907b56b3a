/** Sends and hears single Ethernet frames of any kind, by raw sockets. */
import type { Place } from '../../sandbox/place.ts';

/** By name: what stands behind the two addresses. Destinations are those that a bridge keeps for itself, where there are such. */
export const FRAMES = {
  lacp: '0180c2000002 8809 0101 00',
  stp: '0180c2000000 0026 424203',
  lldp: '0180c200000e 88cc 0207',
  pause: '0180c2000001 8808 0001',
  vlan: 'ffffffffffff 8100 0064 0800 45',
  qinq: 'ffffffffffff 88a8 0064 8100 0065 0800 45',
  unknown: 'ffffffffffff 88b5 00',
  other: '0200000000fe 88b5 01',
  short: 'ffffffffffff 88b5',
  jumbo: 'ffffffffffff 88b5 02',
} as const;

export type FrameName = keyof typeof FRAMES;

const LENGTHS: Partial<Record<FrameName, number>> = { jumbo: 9014, short: 14 };

const SENDER = `
import socket, sys
dev, source = sys.argv[1], bytes.fromhex(sys.argv[2])
line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
line.bind((dev, 0))
for text in sys.argv[3:]:
    body, length = text.split(':')
    frame = bytes.fromhex(body)
    frame = frame[:6] + source + frame[6:]
    line.send(frame + bytes(max(0, int(length) - len(frame))))
`;

/** Prints each frame that came from that source, whole; a tag that the kernel took out of it is put back in. */
const LISTENER = `
import socket, struct, sys
dev, source = sys.argv[1], bytes.fromhex(sys.argv[2])
line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
line.bind((dev, 3 and 0x0003))
line.setsockopt(263, 8, 1)
# Promiscuous: some frames are for nobody here.
line.setsockopt(263, 1, struct.pack('iHH8s', socket.if_nametoindex(dev), 1, 0, b''))
print('ready', flush=True)
while True:
    frame, extra, _, address = line.recvmsg(65536, 128)
    if address[2] == 4: continue
    for level, kind, data in extra:
        status, _, _, _, _, tci, tpid = struct.unpack('IIIHHHH', data[:20])
        if level == 263 and kind == 8 and status & 0x10: frame = frame[:12] + struct.pack('!HH', tpid or 0x8100, tci) + frame[12:]
    if source == b'\\0' * 6 or frame[6:12] == source: print('frame', len(frame), frame[:40].hex(), flush=True)
`;

export interface Listening {
  /** Names of those that were heard since, in order, as many as differ; after the wait where some are missing. */
  heard(): FrameName[];
  /** Every frame's first bytes. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** `source` of zeros: whoever sends. */
export async function listenFrames(place: Place, dev: string, source: string): Promise<Listening> {
  const child = place.spawn('/usr/bin/python3', ['-c', LISTENER, dev, source]);
  await child.waitForLine(/^ready/);
  return {
    heard: () => names.filter((name) => child.lines.some((line) => isFrame(line, name, source))),
    get lines() {
      return child.lines.filter((line) => line.startsWith('frame '));
    },
    stop: async () => void (await child.stop()),
  };
}

const names = (Object.keys(FRAMES) as FrameName[]).sort();
export const FRAME_NAMES: readonly FrameName[] = names;

const bodyOf = (name: FrameName): string => FRAMES[name].replaceAll(' ', '');
const lengthOf = (name: FrameName): number => LENGTHS[name] ?? 60;

function isFrame(line: string, name: FrameName, source: string): boolean {
  const body = bodyOf(name);
  const start = body.slice(0, 12) + source + body.slice(12);
  return new RegExp(`^frame ${lengthOf(name)} ${start}`).test(line);
}

export async function sendFrames(place: Place, dev: string, source: string): Promise<void> {
  const frames = names.map((name) => `${bodyOf(name)}:${lengthOf(name)}`);
  await place.run('/usr/bin/python3', ['-c', SENDER, dev, source, ...frames]);
}
