/** Bytes of the Ethernet frames that speak of addresses: ARP and neighbour discovery. */
import { type Address, addressNumber, bitsOf, familyOf } from './address.ts';

export const BROADCAST: Uint8Array = new Uint8Array(6).fill(0xff);

/** `operation`: 1 asks, 2 tells. MACs as `macBytes` gives them, IPv4 addresses as `addressBytes` does. */
export function arpFrame(
  operation: 1 | 2,
  sender: { readonly mac: Uint8Array; readonly address: Uint8Array },
  target: { readonly mac: Uint8Array; readonly address: Uint8Array },
): Uint8Array {
  const header = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation];
  return Uint8Array.from([
    ...BROADCAST,
    ...sender.mac,
    ...header,
    ...sender.mac,
    ...sender.address,
    ...target.mac,
    ...target.address,
  ]);
}

/** An ICMPv6 message of neighbour discovery, to a multicast address; its checksum (bytes 2 and 3) is filled in. */
export function discoveryFrame(
  mac: Uint8Array,
  source: Uint8Array,
  group: Uint8Array,
  body: readonly number[],
): Uint8Array {
  const message = Uint8Array.from(body);
  const pseudoHeader = [...source, ...group, 0, 0, 0, message.length, 0, 0, 0, 58];
  const sum = internetChecksum(Uint8Array.from([...pseudoHeader, ...message]));
  message[2] = sum >> 8;
  message[3] = sum & 0xff;
  const ethernet = [0x33, 0x33, ...group.subarray(12), ...mac, 0x86, 0xdd];
  return Uint8Array.from([...ethernet, 0x60, 0, 0, 0, 0, message.length, 58, 255, ...source, ...group, ...message]);
}

function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) sum += index % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Of `02:00:00:00:00:01`. */
export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16)));

/** 4 bytes or 16. */
export function addressBytes(address: Address): Uint8Array {
  const length = bitsOf(familyOf(address)) / 8;
  const number = addressNumber(address);
  return Uint8Array.from({ length }, (_, index) => Number((number >> BigInt(8 * (length - 1 - index))) & 0xffn));
}
