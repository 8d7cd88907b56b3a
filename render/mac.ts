/** Ethernet addresses, and the IPv6 addresses that follow from them. */
import { type Address, addressFrom, familyOf, type Prefix, prefixLength, rangeOf } from './address.ts';

/** `00:16:3e:00:00:0a`: lower case, of one interface. */
export type Mac = string & { readonly __brand: 'Mac' };

/** `undefined` for what is none, and for group addresses and all zeros, which no interface has. */
export function parseMac(text: string): Mac | undefined {
  const lower = text.toLowerCase();
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(lower) || lower === '00:00:00:00:00:00') return undefined;
  return (Number.parseInt(lower.slice(0, 2), 16) & 1) === 0 ? (lower as Mac) : undefined;
}

/** The kernel gives such a one to an interface that nobody gave any; a vendor's never has the bit. */
export const isLocallyAdministered = (mac: Mac): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 2) !== 0;

const LINK_LOCAL = 0xfe80n << 112n;

/** fe80:: with the modified EUI-64 of the address (RFC 4291, appendix A). */
export const linkLocalOf = (mac: Mac): Address => addressFrom(LINK_LOCAL | interfaceId(mac), 6);

/** What stateless configuration makes of a prefix (RFC 4862); `undefined` where it isn't a /64. */
export function statelessAddress(prefix: Prefix, mac: Mac): Address | undefined {
  if (familyOf(prefix) !== 6 || prefixLength(prefix) !== 64) return undefined;
  return addressFrom(rangeOf(prefix).first | interfaceId(mac), 6);
}

function interfaceId(mac: Mac): bigint {
  const bytes = mac.split(':').map((byte) => BigInt(`0x${byte}`));
  const [first = 0n, ...rest] = [...bytes.slice(0, 3), 0xffn, 0xfen, ...bytes.slice(3)];
  return [first ^ 2n, ...rest].reduce((sum, byte) => (sum << 8n) | byte, 0n);
}
