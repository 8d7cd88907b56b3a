/** Which veth may send from which prefix, as exact hash sets: one per family and prefix length, so that lookups stay flat. */
import {
  addressFrom,
  bitsOf,
  type Family,
  familyOf,
  isHostPrefix,
  networkOf,
  type Prefix,
  parsePrefix,
  prefixLength,
} from './address.ts';
import type { NicState } from './desired.ts';
import type { NftTable } from './ruleset.ts';

export interface OwnedSet {
  /** `owned4` for hosts, `owned4_28` for prefixes of that length. */
  readonly name: string;
  readonly family: Family;
  readonly length: number;
  /** What of the packet is looked up: IP source or ARP sender. */
  readonly field: 'ip saddr' | 'ip6 saddr' | 'arp saddr ip';
}

export const OWNED = {
  /** `iifname . ip saddr & 255.255.255.240 @owned4_28` */
  match: (set: Omit<OwnedSet, 'field'> & { readonly field: string }): string =>
    `iifname . ${maskedField(set)} @${set.name}`,
  spec: ({ field }: OwnedSet): string => `typeof iifname . ${field};`,
};

/** Host sets exist always; longest prefix first. */
export function ownedSets(table: 'inet' | 'arp', nics: ReadonlyMap<string, NicState>): OwnedSet[] {
  const lengths = lengthsOf(nics);
  const families: readonly Family[] = table === 'inet' ? [4, 6] : [4];
  return families.flatMap((family) =>
    [bitsOf(family), ...lengths[family].keys()]
      .sort((a, b) => b - a)
      .map((length) => ({ name: ownedSetName(family, length), family, length, field: fieldOf(table, family) })),
  );
}

/** How many prefixes there are of each length; host prefixes are not counted. */
type Lengths = Readonly<Record<Family, Map<number, number>>>;

type Nics = ReadonlyMap<string, NicState>;

const known = new WeakMap<Nics, Lengths>();

/** One pass over all NICs for each state, though both tables ask, before and after. */
function lengthsOf(nics: Nics): Lengths {
  const before = known.get(nics);
  if (before !== undefined) return before;
  const lengths: Lengths = { 4: new Map(), 6: new Map() };
  for (const nic of nics.values()) count(lengths, nic, 1);
  known.set(nics, lengths);
  return lengths;
}

/** Spares the next state its pass: its lengths are those before, less those that went and more those that came. */
export function followLengths(
  before: Nics,
  after: Nics,
  { gone, come }: { readonly gone: readonly NicState[]; readonly come: readonly NicState[] },
): void {
  if (known.has(after)) return;
  const lengths = { 4: new Map(lengthsOf(before)[4]), 6: new Map(lengthsOf(before)[6]) };
  for (const nic of gone) count(lengths, nic, -1);
  for (const nic of come) count(lengths, nic, 1);
  known.set(after, lengths);
}

function count(lengths: Lengths, { owned }: NicState, by: 1 | -1): void {
  for (const prefix of owned) {
    if (isHostPrefix(prefix)) continue;
    const ofFamily = lengths[familyOf(prefix)];
    const length = prefixLength(prefix);
    const sum = (ofFamily.get(length) ?? 0) + by;
    if (sum === 0) ofFamily.delete(length);
    else ofFamily.set(length, sum);
  }
}

/** The set and the element that let the NIC send from the prefix. */
export function ownedElement(nic: NicState, prefix: Prefix): { readonly set: string; readonly key: string } {
  const set = ownedSetName(familyOf(prefix), prefixLength(prefix));
  return { set, key: `"${nic.hostVeth}" . ${networkOf(prefix)}` };
}

/** Which veth owns what by a listing of our table: `VETH PREFIX` each. What makes no sense is left out. */
export function parseOwned(table: NftTable | undefined): Set<string> {
  const owned = new Set<string>();
  for (const [name, { elements }] of table?.sets ?? []) {
    const [, family, length] = /^owned([46])(?:_(\d+))?$/.exec(name) ?? [];
    if (family === undefined) continue;
    for (const key of elements.keys()) {
      const [, veth, address] = /^"(.*)" \. (\S+)$/.exec(key) ?? [];
      const prefix = parsePrefix(`${address}/${length ?? (family === '4' ? 32 : 128)}`);
      if (prefix !== undefined) owned.add(`${veth} ${prefix}`);
    }
  }
  return owned;
}

const ownedSetName = (family: Family, length: number): string => `owned${lengthSuffix(family, length)}`;

/** `4` for hosts, `4_28` for prefixes of that length. */
export const lengthSuffix = (family: Family, length: number): string =>
  `${family}${length === bitsOf(family) ? '' : `_${length}`}`;

/** `ip saddr`, `ip saddr & 255.255.255.240` */
export const maskedField = ({
  family,
  length,
  field,
}: Pick<OwnedSet, 'family' | 'length'> & { readonly field: string }): string =>
  `${field}${length === bitsOf(family) ? '' : ` & ${maskOf(family, length)}`}`;

function fieldOf(table: 'inet' | 'arp', family: Family): OwnedSet['field'] {
  if (table === 'arp') return 'arp saddr ip';
  return family === 4 ? 'ip saddr' : 'ip6 saddr';
}

/** `255.255.255.240` */
export function maskOf(family: Family, length: number): string {
  const bits = BigInt(bitsOf(family));
  return addressFrom(((1n << BigInt(length)) - 1n) << (bits - BigInt(length)), family);
}
