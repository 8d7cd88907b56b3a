/** What of a rule may be many: lists of ports and of addresses, as rules of their own or as named sets. */
import { createHash } from 'node:crypto';
import {
  type Address,
  type AddressRange,
  addressFrom,
  bitsOf,
  type Family,
  formatRange,
  networkOf,
  prefixesOf,
  prefixLength,
} from './address.ts';
import { type SetName, setName } from './names.ts';
import { maskedField } from './owned.ts';
import type { PortRange } from './rule.ts';
import type { NftSet } from './ruleset.ts';

/** More alternatives than this become a named set; fewer unroll into rules, since a set costs the kernel more. */
const UNROLLED = 4;
/**
 * More ranges than this become a hash set for each prefix length. Of an interval set nft reads every element whenever any
 * element of the table changes, and so at each start: that's a second of CPU for 100,000.
 */
const INTERVALS = 256;
/** But not where ranges that are no prefixes would become more of them than this for each. */
const PREFIXES = 4;

/** By name. */
export type Sets = Map<string, NftSet>;

/** The sets are content-addressed, so that chains share them. */
interface Alternatives {
  readonly matches: readonly string[];
  readonly sets: Sets;
}

const known = new WeakMap<readonly AddressRange[], Map<string, Alternatives>>();

/**
 * nft matches, one for each rule that is needed; what they refer to is added to `sets`. `field`: `ip daddr`.
 *
 *     ip daddr 198.51.100.0/28
 *     ip daddr @peers4_0123456789ab
 *     ip daddr & 255.255.255.0 @peers4_0123456789ab
 */
export function rangeMatches(
  field: string,
  ranges: readonly AddressRange[],
  family: Family,
  sets: Sets,
): readonly string[] {
  if (ranges.length <= UNROLLED) return ranges.map((range) => `${field} ${formatRange(range)}`);
  // Long lists are shared by many rules and chains.
  const ofRanges = known.get(ranges) ?? new Map<string, Alternatives>();
  known.set(ranges, ofRanges);
  const found = ofRanges.get(field) ?? setMatches(field, ranges, family);
  ofRanges.set(field, found);
  for (const [name, set] of found.sets) sets.set(name, set);
  return found.matches;
}

function setMatches(field: string, ranges: readonly AddressRange[], family: Family): Alternatives {
  const sets: Sets = new Map();
  const kind = `peers${family}` as const;
  const type = `ipv${family}_addr` as const;
  const lengths = ranges.length <= INTERVALS ? [] : byLength(ranges);
  const count = lengths.reduce((sum, [, networks]) => sum + networks.length, 0);
  if (count === 0 || count > PREFIXES * ranges.length) {
    const name = addSet(kind, `type ${type}; flags interval;`, ranges.map(formatRange), sets);
    return { matches: [`${field} @${name}`], sets };
  }
  const matches = lengths.map(([length, networks]) => {
    const name = addSet(kind, `type ${type};`, networks, sets);
    return `${maskedField({ family, length, field })} @${name}`;
  });
  return { matches, sets };
}

/** The first addresses of the prefixes that the ranges are together, by length, longest first. */
function byLength(ranges: readonly AddressRange[]): [number, Address[]][] {
  const lengths = new Map<number, Address[]>();
  const add = (length: number, network: Address): void => {
    const networks = lengths.get(length);
    if (networks === undefined) lengths.set(length, [network]);
    else networks.push(network);
  };
  for (const range of ranges) {
    // Most of a long list; the text of a prefix would only be taken apart again.
    if (range.first === range.last) add(bitsOf(range.family), addressFrom(range.first, range.family));
    else for (const prefix of prefixesOf(range)) add(prefixLength(prefix), networkOf(prefix));
  }
  return [...lengths].sort(([a], [b]) => b - a);
}

/** nft matches for what follows `dport`. */
export function portMatches(ports: readonly PortRange[], sets: Sets): string[] {
  const texts = ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  if (texts.length <= UNROLLED) return texts;
  return [`@${addSet('ports', 'type inet_service; flags interval;', texts, sets)}`];
}

function addSet(kind: 'peers4' | 'peers6' | 'ports', spec: string, texts: readonly string[], sets: Sets): SetName {
  const name = setName(kind, hashOf(spec.includes('interval') ? texts.join(' ') : `${spec} ${texts.join(' ')}`));
  const elements = new Map<string, string>();
  for (const text of texts) elements.set(text, '');
  sets.set(name, { kind: 'set', spec, dynamic: false, elements });
  return name;
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
