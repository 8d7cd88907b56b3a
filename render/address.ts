/** Addresses and prefixes: branded, canonical, made only by the parsers here. */
import { isIP } from 'node:net';
import { parseIp, stringifyIp } from 'ip-bigint';

export type Family = 4 | 6;

/** A canonical IPv4 or IPv6 address such as `198.51.100.10` or `2001:db8::10`; never has a zone. */
export type Address = string & { readonly __brand: 'Address' };

/** A canonical network prefix without host bits, such as `198.51.100.64/28`; a host is `/32` or `/128`. */
export type Prefix = string & { readonly __brand: 'Prefix' };

/** Both ends belong to the range; `first <= last`, one family. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

export const bitsOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

export const familyOf = (value: Address | Prefix): Family => (value.includes(':') ? 6 : 4);

/** `undefined` for anything but a plain address: no zone, no prefix length, no leading zeros, no IPv4-mapped IPv6. */
export function parseAddress(text: string): Address | undefined {
  const address = parseBare(text);
  return address === undefined || isMapped(address) ? undefined : address;
}

/** Most of IPv6: all zeros in one `::`, which stands for two groups or more. By way of a bigint it takes five times as long. */
const CANONICAL = /^(?=(?:[^:]*:){2,6}[^:]*$)(?:[1-9a-f][0-9a-f]{0,3}:)+(?::[1-9a-f][0-9a-f]{0,3})+$/;

function parseBare(text: string): Address | undefined {
  const version = isIP(text);
  // With neither leading zeros nor parts left out it is canonical already.
  if (version === 4) return text as Address;
  if (version === 0 || text.includes('%')) return undefined;
  if (CANONICAL.test(text)) return text as Address;
  return stringifyIp({ number: parseIp(text).number, version: 6 }) as Address;
}

/** ::ffff:192.0.2.1 never appears on the wire as such; a rule that names it would silently match nothing. */
const isMapped = (address: Address): boolean => address.startsWith('::ffff:') && isMappedNumber(addressNumber(address));

const isMappedNumber = (number: bigint): boolean => number >> 32n === 0xffffn;

/** Host bits are cleared: `192.0.2.1/24` reads as `192.0.2.0/24`; a bare address reads as a host prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseBare(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const family = familyOf(address);
  const length = slash < 0 ? bitsOf(family) : parseLength(text.slice(slash + 1), family);
  if (length === undefined || (isMapped(address) && length > 96)) return undefined;
  return prefixOf(addressNumber(address), length, family);
}

function parseLength(text: string, family: Family): number | undefined {
  const length = /^(0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.NaN;
  return length <= bitsOf(family) ? length : undefined;
}

/** An address, a prefix or `first-last` of one family; `undefined` for anything else, also for a reversed range. */
export function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf('/');
  const start = slash < 0 ? text : text.slice(0, slash);
  const family = isIP(start);
  if (family === 4 || family === 6) return prefixRange(start, family, slash < 0 ? undefined : text.slice(slash + 1));
  const dash = text.indexOf('-');
  if (dash < 0) return undefined;
  const first = parseAddress(text.slice(0, dash).trim());
  const last = parseAddress(text.slice(dash + 1).trim());
  if (first === undefined || last === undefined || familyOf(first) !== familyOf(last)) return undefined;
  const range = { family: familyOf(first), first: addressNumber(first), last: addressNumber(last) };
  return range.first > range.last ? undefined : range;
}

/** Long lists mostly consist of these, so that no text is made of them that would be parsed again. */
function prefixRange(start: string, family: Family, lengthText: string | undefined): AddressRange | undefined {
  const length = lengthText === undefined ? bitsOf(family) : parseLength(lengthText, family);
  if (length === undefined || start.includes('%')) return undefined;
  const number = addressNumber(start as Address);
  if (family === 6 && isMappedNumber(number) && length > 96) return undefined;
  const hostBits = BigInt(bitsOf(family) - length);
  const first = hostBits === 0n ? number : (number >> hostBits) << hostBits;
  return { family, first, last: hostBits === 0n ? first : first + (1n << hostBits) - 1n };
}

/** Whether what reads as that range was written with another address than its first: `192.0.2.1/24`. */
export function hasHostBits(text: string, { first }: AddressRange): boolean {
  const slash = text.indexOf('/');
  const address = slash < 0 ? undefined : parseBare(text.slice(0, slash));
  return address !== undefined && addressNumber(address) !== first;
}

export const addressNumber = (address: Address): bigint =>
  familyOf(address) === 4 ? BigInt(numberOf4(address)) : parseIp(address).number;

/** A list of 100,000 is read and written at each edit of it, and takes five times as long by way of bigints. */
function numberOf4(address: Address): number {
  let [number, part] = [0, 0];
  for (let index = 0; index < address.length; index += 1) {
    const code = address.charCodeAt(index);
    if (code === DOT) [number, part] = [256 * number + part, 0];
    else part = 10 * part + code - ZERO;
  }
  return 256 * number + part;
}

const [DOT, ZERO] = [0x2e, 0x30];

export function addressFrom(number: bigint, family: Family): Address {
  if (family !== 4 || number < 0n || number > 0xffff_ffffn) return stringifyIp({ number, version: family }) as Address;
  const bits = Number(number);
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}` as Address;
}

export const hostPrefix = (address: Address): Prefix => `${address}/${bitsOf(familyOf(address))}` as Prefix;

export const prefixLength = (prefix: Prefix): number => Number(prefix.slice(prefix.indexOf('/') + 1));

/** The first address of the prefix. */
export const networkOf = (prefix: Prefix): Address => prefix.slice(0, prefix.indexOf('/')) as Address;

/** By its text alone: `/32` on a prefix without colons, or `/128`, which no other family has. */
export const isHostPrefix = (prefix: Prefix): boolean =>
  prefix.endsWith('/128') || (prefix.endsWith('/32') && !prefix.includes(':'));

/** The prefix of that length that holds the number. */
export function prefixOf(number: bigint, length: number, family: Family): Prefix {
  const hostBits = BigInt(bitsOf(family) - length);
  return `${addressFrom((number >> hostBits) << hostBits, family)}/${length}` as Prefix;
}

export function rangeOf(prefix: Prefix): AddressRange {
  const family = familyOf(prefix);
  const first = addressNumber(networkOf(prefix));
  return { family, first, last: first + (1n << BigInt(bitsOf(family) - prefixLength(prefix))) - 1n };
}

export const contains = (range: AddressRange, address: Address): boolean =>
  familyOf(address) === range.family && addressNumber(address) >= range.first && addressNumber(address) <= range.last;

/** Sorted by family and first address; overlapping and adjacent ranges become one. */
export function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const sorted = isSorted(ranges) ? ranges : [...ranges].sort(compareRanges);
  const merged: AddressRange[] = [];
  for (const range of sorted) {
    const top = merged.at(-1);
    if (top === undefined || top.family !== range.family || range.first > top.last + 1n) merged.push(range);
    else if (range.last > top.last) merged[merged.length - 1] = { ...top, last: range.last };
  }
  return merged;
}

/** As long lists mostly are, of which a copy would be garbage to collect. */
const isSorted = (ranges: readonly AddressRange[]): boolean =>
  ranges.every((range, index) => {
    const next = ranges[index + 1];
    return next === undefined || compareRanges(range, next) <= 0;
  });

function compareRanges(a: AddressRange, b: AddressRange): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.first === b.first) return a.last < b.last ? -1 : 1;
  return a.first < b.first ? -1 : 1;
}

/** As nft writes it: an address, a prefix where the range is one, else `first-last`. */
export function formatRange(range: AddressRange): string {
  const { family, first, last } = range;
  if (first === last) return addressFrom(first, family);
  const length = lengthOfPrefix(range);
  return `${addressFrom(first, family)}${length === undefined ? `-${addressFrom(last, family)}` : `/${length}`}`;
}

/** `undefined` where the range is no prefix. */
function lengthOfPrefix({ family, first, last }: AddressRange): number | undefined {
  const mask = first ^ last;
  if ((mask & (mask + 1n)) !== 0n || (first & mask) !== 0n) return undefined;
  return bitsOf(family) - (mask === 0n ? 0 : mask.toString(2).length);
}

/** The fewest prefixes that are the range together, none of them shorter than `shortest`. */
export function prefixesOf(range: AddressRange, shortest = 0): Prefix[] {
  const { family, first, last } = range;
  const bits = bitsOf(family);
  const length = lengthOfPrefix(range);
  if (length !== undefined && length >= shortest) return [`${addressFrom(first, family)}/${length}` as Prefix];
  const found: Prefix[] = [];
  for (let next = first; next <= last; ) {
    let hostBits = Math.min(next === 0n ? bits : trailingZeros(next), bits - shortest);
    while (next + (1n << BigInt(hostBits)) - 1n > last) hostBits -= 1;
    found.push(`${addressFrom(next, family)}/${bits - hostBits}` as Prefix);
    next += 1n << BigInt(hostBits);
  }
  return found;
}

function trailingZeros(number: bigint): number {
  let count = 0;
  for (let rest = number; (rest & 1n) === 0n; rest >>= 1n) count += 1;
  return count;
}

export const rangesOverlap = (a: AddressRange, b: AddressRange): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last;
