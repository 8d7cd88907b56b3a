/** Addresses that are never the internet: private, shared, link-local, loopback, multicast and reserved (RFC 6890). */
import { type Family, type Prefix, parsePrefix } from './address.ts';

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
  6: ['::/128', '::1/128', '::ffff:0:0/96', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
};

const parsed = (family: Family): Prefix[] =>
  TEXTS[family].map((text) => parsePrefix(text)).filter((prefix) => prefix !== undefined);

export const NON_PUBLIC: Readonly<Record<Family, readonly Prefix[]>> = { 4: parsed(4), 6: parsed(6) };
