/** Which hardware address has which address by DHCP, as dnsmasq writes it down for each bridge (of lxc-net, say). */
import { type Address, familyOf, parseAddress } from '../../render/address.ts';
import { type Mac, parseMac } from '../../render/mac.ts';
import { readIfThere } from '../read-if-there.ts';

export interface Lease {
  readonly mac: Mac;
  readonly address: Address;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** A file that grows beyond this isn't dnsmasq's. */
const MOST_LINES = 10_000;

/**
 * Reads dnsmasq 2.90's lease file. A line each, `EXPIRY MAC ADDRESS NAME CLIENT-ID`, with an expiry in seconds since 1970
 * and 0 for never; after a line `duid …` those of IPv6, `EXPIRY IAID ADDRESS NAME DUID`. A DUID tells a hardware address
 * only where it is made of one (RFC 8415, 11.2 and 11.4). A line that says none of this is left out.
 */
export function parseLeases(text: string): Lease[] {
  return text.split('\n', MOST_LINES).flatMap((line) => {
    const [expiry = '', second = '', third = '', , last = ''] = line.split(' ');
    const address = parseAddress(third);
    if (address === undefined || !/^\d{1,12}$/.test(expiry)) return [];
    const mac = parseMac(familyOf(address) === 4 ? second : macOfDuid(last));
    if (mac === undefined) return [];
    return [{ mac, address, expires: expiry === '0' ? Number.POSITIVE_INFINITY : Number(expiry) * 1000 }];
  });
}

/** Of type LLT (with a time of 4 bytes) or LL, over Ethernet. */
const macOfDuid = (duid: string): string =>
  /^00:(?:01:00:01(?::[0-9a-f]{2}){4}|03:00:01):(.{17})$/i.exec(duid)?.[1] ?? '';

/**
 * What is leased, but running containers keep what they hold until it ends. dnsmasq takes a client that names another one's
 * identifier (option 61) for that other one, and so would hand the lease of one container to another, or give it up.
 */
export function keepLeases(held: readonly Lease[], fresh: readonly Lease[]): Lease[] {
  const owners = new Map(held.map(({ address, mac }) => [address, mac]));
  const rightful = fresh.filter(({ address, mac }) => (owners.get(address) ?? mac) === mac);
  const renewed = new Set(rightful.map(({ address }) => address));
  return [...rightful, ...held.filter(({ address }) => !renewed.has(address))];
}

export const leasedTo = (mac: Mac, leases: readonly Lease[]): Address[] =>
  leases.filter((lease) => lease.mac === mac).map(({ address }) => address);

/** `pattern` holds the word BRIDGE in the place of the bridge's name. */
export const leaseFile = (pattern: string, bridge: string): string => pattern.replaceAll('BRIDGE', () => bridge);

/** None where there is no such file. @throws Error where it can't be read */
export async function readLeases(file: string): Promise<Lease[]> {
  try {
    return parseLeases((await readIfThere(file)) ?? '');
  } catch (cause) {
    throw new Error("leases can't be read", { cause });
  }
}
