/** The Ethernet frames that tell an uplink's neighbours where an address is now: gratuitous ARP and unsolicited NA. */
import { type Address, addressNumber, bitsOf, familyOf } from './address.ts';

/** Who speaks: an interface with its MAC (`02:00:00:00:00:01`) and its IPv6 link-local address. */
export interface Announcer {
  readonly mac: string;
  readonly linkLocal: Address | undefined;
}

/**
 * One frame, or `undefined` for an IPv6 address on an uplink that has no link-local address to speak from
 * (RFC 4861 4.4 wants a unicast source).
 */
export function renderAnnouncement(address: Address, { mac, linkLocal }: Announcer): Uint8Array | undefined {
  if (familyOf(address) === 4) return arpReply(bytesOf(address), macBytes(mac));
  return linkLocal === undefined
    ? undefined
    : neighbourAdvertisement(bytesOf(address), bytesOf(linkLocal), macBytes(mac));
}

/** RFC 5227 section 3: sender and target are both the address that is announced. */
function arpReply(address: Uint8Array, mac: Uint8Array): Uint8Array {
  const broadcast = new Uint8Array(6).fill(0xff);
  const header = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
  return Uint8Array.from([...broadcast, ...mac, ...header, ...mac, ...address, ...broadcast, ...address]);
}

/** To all nodes, with the router and override flags: a neighbour replaces what it has cached (RFC 4861 7.2.6). */
function neighbourAdvertisement(target: Uint8Array, source: Uint8Array, mac: Uint8Array): Uint8Array {
  const allNodes = bytesOf('ff02::1' as Address);
  const message = Uint8Array.from([136, 0, 0, 0, 0xa0, 0, 0, 0, ...target, 2, 1, ...mac]);
  const pseudoHeader = [...source, ...allNodes, 0, 0, 0, message.length, 0, 0, 0, 58];
  const sum = internetChecksum(Uint8Array.from([...pseudoHeader, ...message]));
  message[2] = sum >> 8;
  message[3] = sum & 0xff;
  const ethernet = [0x33, 0x33, 0, 0, 0, 1, ...mac, 0x86, 0xdd];
  return Uint8Array.from([...ethernet, 0x60, 0, 0, 0, 0, message.length, 58, 255, ...source, ...allNodes, ...message]);
}

function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) sum += index % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const macBytes = (mac: string): Uint8Array => Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16)));

function bytesOf(address: Address): Uint8Array {
  const length = bitsOf(familyOf(address)) / 8;
  const number = addressNumber(address);
  return Uint8Array.from({ length }, (_, index) => Number((number >> BigInt(8 * (length - 1 - index))) & 0xffn));
}
