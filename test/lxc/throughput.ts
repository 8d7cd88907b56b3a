/** How fast real TCP and UDP get from one place to another: bits a second of whole frames, as the receiver counts them. */
import type { Place } from '../../sandbox/place.ts';

export interface Throughput {
  readonly from: Place;
  readonly to: Place;
  /** The receiver's. */
  readonly address: string;
  readonly protocol: 'tcp' | 'udp';
  /** What UDP sends at, in bits a second; TCP finds out by itself. */
  readonly offered: number;
  /** 2 by default. */
  readonly seconds?: number;
}

const PORT = 5001;

/** Counts from the second packet on, so that what the burst let through at once doesn't count; and Ethernet's headers too. */
const RECEIVER = `
import socket, sys, time
address, protocol = sys.argv[1], sys.argv[2]
count, begin, end = 0, None, 0
def take(size, headers):
    global count, begin, end
    now = time.monotonic()
    if begin is None: begin = now + 0.5
    elif now > begin: count += size + headers; end = now
if protocol == 'tcp':
    server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, ${PORT})); server.listen(1); print('ready', flush=True)
    peer, _ = server.accept()
    while data := peer.recv(65536): take(len(data), len(data) * 66 / 1448)
else:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind((address, ${PORT})); print('ready', flush=True)
    try:
        while True:
            take(len(server.recv(65536)), 42)
            server.settimeout(1)
    except socket.timeout: pass
print('rate', count * 8 / (end - begin), flush=True)
`;

const SENDER = `
import socket, sys, time
address, protocol, offered, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
begin = time.monotonic()
if protocol == 'tcp':
    peer = socket.create_connection((address, ${PORT}))
    while time.monotonic() < begin + seconds: peer.send(b'x' * 16384)
else:
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.connect((address, ${PORT})); sent = 0
    while (now := time.monotonic()) < begin + seconds:
        if sent * 8 / offered > now - begin: time.sleep(0.001); continue
        try: peer.send(b'x' * 1400)
        except OSError: pass
        sent += 1442
`;

export async function measure({ from, to, address, protocol, offered, seconds = 2 }: Throughput): Promise<number> {
  const receiver = to.spawn('/usr/bin/python3', ['-c', RECEIVER, address, protocol]);
  await receiver.waitForLine(/^ready/);
  await from.run('/usr/bin/python3', ['-c', SENDER, address, protocol, String(offered), String(seconds)]);
  const [, rate] = /rate (\S+)/.exec(await receiver.waitForLine(/^rate /)) ?? [];
  await receiver.stop();
  return Number(rate);
}
