/** Sets as ipset holds them. */
import {
  type AddressRange,
  bitsOf,
  type Family,
  familyOf,
  mergeRanges,
  type Prefix,
  parsePrefix,
  prefixesOf,
  rangeOf,
} from '../address.ts';
import type { XtSet } from './xt-ruleset.ts';

/** The kernel's default of 65,536 would leave the addresses of the host's last containers out. */
const ROOM = 'maxelem 1048576';

export const netSet = (family: Family, elements: Iterable<string>): XtSet => ({
  ...{ type: 'hash:net', kind: 'whole', family, options: ROOM },
  elements: new Set(elements),
});

/** Filled and emptied by single elements, as the owners are. */
export const heldSet = (family: Family, prefixes: Iterable<string>): XtSet => ({
  ...netSet(family, [...prefixes].map(shortElement)),
  kind: 'owned',
});

export const ownedSet = (family: Family, elements: Iterable<string>): XtSet => ({
  ...{ type: 'hash:net,iface', kind: 'owned', family, options: ROOM },
  elements: new Set(elements),
});

export const interfaceSet = (family: Family, names: Iterable<string>): XtSet => ({
  ...{ type: 'hash:net,iface', kind: 'whole', family, options: ROOM },
  elements: new Set([...names].map((name) => `${family === 4 ? '0.0.0.0/0' : '::/0'},${name}`)),
});

/** As elements of hash:net, which knows neither overlaps nor a prefix of length 0 nor, for IPv6, ranges. */
export function netElements(family: Family, prefixes: readonly (Prefix | AddressRange)[]): string[] {
  const ranges = prefixes.map((entry) => (typeof entry === 'string' ? rangeOf(entry) : entry));
  return mergeRanges(ranges.filter((range) => range.family === family)).flatMap((range) =>
    prefixesOf(range, 1).map(shortElement),
  );
}

/** As ipset prints it: a host without its length, canonical, the interface behind it. */
export function shortElement(text: string): string {
  const comma = text.indexOf(',');
  const [address, rest] = comma < 0 ? [text, ''] : [text.slice(0, comma), text.slice(comma)];
  const prefix = parsePrefix(address);
  if (prefix === undefined) return text;
  const host = `/${bitsOf(familyOf(prefix))}`;
  return `${prefix.endsWith(host) ? prefix.slice(0, -host.length) : prefix}${rest}`;
}
