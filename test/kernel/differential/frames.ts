/** Packets as bytes, whole or in two fragments. What follows the header is what conntrack takes for a flow's first one. */
import { type Address, addressNumber, type Family } from '../../../render/address.ts';

export interface SentPacket {
  /** In the IPv4 identification or the IPv6 flow label, and as source port or ICMP id: 1024 to 65535. */
  readonly id: number;
  readonly family: Family;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly port?: number;
  readonly icmpType?: number;
  readonly fragmented: boolean;
}

/** The host's side of every wire. */
export const HOST_MAC = '02:00:00:00:00:01';

/** Tells what we send from what the host says by itself. */
export const HOPS = 99;

export const framesOf = (packet: SentPacket): Buffer[] => datagramsOf(packet).map((data) => frame(packet.family, data));

const frame = (family: Family, data: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`${HOST_MAC}:02:00:00:00:00:02`.replaceAll(':', ''), 'hex'),
    Buffer.from(family === 4 ? [0x08, 0x00] : [0x86, 0xdd]),
    data,
  ]);

/** From the IP header on. */
export function datagramsOf(packet: SentPacket): Buffer[] {
  const payload = payloadOf(packet);
  if (!packet.fragmented) return [packet.family === 4 ? ip4(packet, payload, 0) : ip6(packet, payload)];
  const parts = [payload.subarray(0, CUT), payload.subarray(CUT)];
  return parts.map((part, index) => {
    const more = index === 0;
    if (packet.family === 4) return ip4(packet, part, (more ? 0x2000 : 0) | ((index * CUT) / 8));
    const header = Buffer.alloc(8);
    header.writeUInt8(packet.protocol, 0);
    header.writeUInt16BE((index * CUT) | (more ? 1 : 0), 2);
    header.writeUInt32BE(packet.id, 4);
    return ip6(packet, Buffer.concat([header, part]), 44);
  });
}

/** Bytes of the first fragment: a whole TCP header. */
const CUT = 24;

function ip4({ id, protocol, source, destination }: SentPacket, payload: Buffer, fragment: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(fragment, 6);
  header.writeUInt8(HOPS, 8);
  header.writeUInt8(protocol, 9);
  bytesOf(source, 4).copy(header, 12);
  bytesOf(destination, 4).copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

function ip6({ id, protocol, source, destination }: SentPacket, payload: Buffer, next = protocol): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(0x6000_0000 + id, 0);
  header.writeUInt16BE(payload.length, 4);
  header.writeUInt8(next, 6);
  header.writeUInt8(HOPS, 7);
  bytesOf(source, 6).copy(header, 8);
  bytesOf(destination, 6).copy(header, 24);
  return Buffer.concat([header, payload]);
}

const bytesOf = (address: Address, family: Family): Buffer =>
  Buffer.from(
    addressNumber(address)
      .toString(16)
      .padStart(family === 4 ? 8 : 32, '0'),
    'hex',
  );

/** The ones' complement sum of all 16-bit words. */
function checksum(data: Buffer): number {
  const even = data.length % 2 === 0 ? data : Buffer.concat([data, Buffer.alloc(1)]);
  let sum = 0;
  for (let at = 0; at < even.length; at += 2) sum += even.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** 48 bytes, so that there is something to cut. */
function payloadOf(packet: SentPacket): Buffer {
  const { id, family, protocol, port = 0, icmpType = 0 } = packet;
  const data = Buffer.alloc(48);
  switch (protocol) {
    case 6: {
      data.writeUInt16BE(id, 0);
      data.writeUInt16BE(port, 2);
      data.writeUInt32BE(id, 4);
      // A header of five words, and SYN.
      data.writeUInt16BE(0x5002, 12);
      data.writeUInt16BE(1024, 14);
      return withChecksum(data, packet, 16);
    }
    case 17:
      data.writeUInt16BE(id, 0);
      data.writeUInt16BE(port, 2);
      data.writeUInt16BE(data.length, 4);
      return withChecksum(data, packet, 6);
    case 132:
      data.writeUInt16BE(id, 0);
      data.writeUInt16BE(port, 2);
      // INIT with a tag, a window, and one stream each way.
      data.writeUInt16BE(0x0100, 12);
      data.writeUInt16BE(20, 14);
      data.writeUInt32BE(id, 16);
      data.writeUInt32BE(65_536, 20);
      data.writeUInt32BE(0x0001_0001, 24);
      data.writeUInt32BE(id, 28);
      return data.subarray(0, 32);
    case family === 4 ? 1 : 58:
      data.writeUInt8(icmpType, 0);
      data.writeUInt16BE(id, 4);
      return family === 4 ? withSum(data, checksum(data), 2) : withChecksum(data, packet, 2);
    default:
      // The other family's ICMP in this one, as an attacker would send it.
      data.writeUInt8(protocol === 58 ? 128 : protocol === 1 ? 8 : 0, 0);
      // Before it answers, the kernel wants a right sum of protocols that have none, too.
      return family === 4 ? withSum(data, checksum(data), 46) : withChecksum(data, packet, 46);
  }
}

function withChecksum(data: Buffer, { source, destination, family, protocol }: SentPacket, at: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(data.length, 0);
  tail.writeUInt32BE(protocol, 4);
  const pseudo = Buffer.concat([bytesOf(source, family), bytesOf(destination, family), tail, data]);
  return withSum(data, checksum(pseudo), at);
}

function withSum(data: Buffer, sum: number, at: number): Buffer {
  data.writeUInt16BE(sum, at);
  return data;
}
