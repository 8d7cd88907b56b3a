/** What was meant by a text that is no address, prefix or range. */
import { parseAddress } from '../render/address.ts';

/** Behind "… is no …": what would be right; empty where nobody can tell. */
export function addressHint(text: string): string {
  const [, address = '', behind = ''] = /^([^/]*)\/(.*)$/.exec(text) ?? [];
  const zone = /^[0-9a-f:.]+(%[^/]*)/i.exec(text)?.[1];
  if (zone !== undefined) return `: write the address without its zone, ${zone}`;
  const known = parseAddress(address);
  if (known === undefined) return '';
  const isSix = address.includes(':');
  const length = isSix ? undefined : lengthOfMask(behind);
  if (length !== undefined) return `: did you mean "${address}/${length}"?`;
  return `: ${isSix ? 'IPv6 prefixes are /0 to /128' : 'IPv4 prefixes are /0 to /32'}`;
}

/** `255.255.255.0` is 24; `undefined` for what is no netmask. */
function lengthOfMask(text: string): number | undefined {
  if (parseAddress(text) === undefined) return undefined;
  const bits = text.split('.').map((octet) => Number(octet).toString(2).padStart(8, '0'));
  return /^1*(?=0*$)/.exec(bits.join(''))?.[0].length;
}
