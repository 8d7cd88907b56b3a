/** Addresses that are never the internet: private, shared, link-local, loopback, multicast and reserved (RFC 6890). */
import {
  type Address,
  addressFrom,
  addressNumber,
  contains,
  type Family,
  type Prefix,
  parsePrefix,
  prefixLength,
  prefixOf,
  rangeOf,
} from './address.ts';

const TEXTS: Record<Family, readonly string[]> = {
  4: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '224.0.0.0/4',
    '240.0.0.0/4',
  ],
  6: ['::/128', '::1/128', '::ffff:0:0/96', '64:ff9b:1::/48', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
};

const prefixesFrom = (texts: readonly string[]): Prefix[] => texts.flatMap((text) => parsePrefix(text) ?? []);

/** By themselves, whatever may be carried in them. */
export const PRIVATE: Readonly<Record<Family, readonly Prefix[]>> = {
  4: prefixesFrom(TEXTS[4]),
  6: prefixesFrom(TEXTS[6]),
};

/** By them a translator (RFC 6052) and 6to4 routers (RFC 3056) lead to the IPv4 address that follows in an IPv6 address. */
const CARRIERS = prefixesFrom(['64:ff9b::/96', '2002::/16']).map((prefix) => ({
  range: rangeOf(prefix),
  length: prefixLength(prefix),
  behind: BigInt(96 - prefixLength(prefix)),
}));

/** The IPv4 address to which an IPv6 one leads; `undefined` for most. */
export function carriedBy(address: Address): Address | undefined {
  const carrier = CARRIERS.find(({ range }) => contains(range, address));
  return carrier && addressFrom((addressNumber(address) >> carrier.behind) & 0xffff_ffffn, 4);
}

const carried = (prefix: Prefix): Prefix[] =>
  CARRIERS.map(({ range, length, behind }) =>
    prefixOf(range.first + (rangeOf(prefix).first << behind), length + prefixLength(prefix), 6),
  );

export const NON_PUBLIC: Readonly<Record<Family, readonly Prefix[]>> = {
  4: PRIVATE[4],
  6: [...PRIVATE[6], ...PRIVATE[4].flatMap(carried)],
};
