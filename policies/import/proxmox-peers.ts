/** Whom a Proxmox rule names: addresses, aliases and IP sets, of the guest's file and the cluster's. */
import { type AddressRange, bitsOf, formatRange, mergeRanges, parseRange } from '../../render/address.ts';
import type { FwEntry, FwFile } from './proxmox-file.ts';
import type { Said } from './say-rule.ts';
import { joinSaid, lost, said } from './say-service.ts';

export interface FwNames {
  readonly guest: Pick<FwFile, 'aliases' | 'ipsets'>;
  readonly cluster: Pick<FwFile, 'aliases' | 'ipsets'> | undefined;
}

/** An IP set as it is matched. */
export interface ResolvedSet {
  /** As its file is called. */
  readonly name: string;
  readonly ranges: readonly AddressRange[];
  readonly isGuest: boolean;
  /** Entries that Proxmox refuses. */
  readonly broken: readonly FwEntry[];
}

/** A comma-separated list; nothing: anyone. `use` notes a set and gives the words for it. */
export function sayPeers(text: string, names: FwNames, use: (set: ResolvedSet) => readonly string[]): Said {
  if (text === '') return said('any');
  return joinSaid(
    text.split(',').map((part) => {
      if (part.startsWith('+')) {
        const set = resolveSet(part.slice(1), names);
        return set === undefined ? lost(`the IP set ${part}${hint(names)}`, 'any') : said(...use(set));
      }
      const range = parseRange(part) ?? resolveAlias(part, names);
      return range === undefined
        ? lost(`the address ${JSON.stringify(part)}${hint(names)}`, 'any')
        : said(formatRange(range));
    }),
  );
}

const hint = ({ cluster }: FwNames): string =>
  cluster === undefined ? ' (--cluster names the file that may know it)' : '';

/** `dc/NAME` is the cluster's, `guest/NAME` the guest's; without either the guest's own comes first. */
function scoped<T>(text: string, guest: ReadonlyMap<string, T>, cluster: ReadonlyMap<string, T> | undefined) {
  const [, scope, name = ''] = /^(?:(dc|guest)\/)?(.*)$/.exec(text.toLowerCase()) ?? [];
  const own = scope === 'dc' ? undefined : guest.get(name);
  if (own !== undefined) return { value: own, name, isGuest: true };
  const shared = scope === 'guest' ? undefined : cluster?.get(name);
  return shared === undefined ? undefined : { value: shared, name, isGuest: false };
}

function resolveAlias(text: string, { guest, cluster }: FwNames): AddressRange | undefined {
  const found = scoped(text, guest.aliases, cluster?.aliases);
  return found === undefined ? undefined : parseRange(found.value.text);
}

export function resolveSet(text: string, names: FwNames): ResolvedSet | undefined {
  const found = scoped(text, names.guest.ipsets, names.cluster?.ipsets);
  if (found === undefined) return undefined;
  const members = new Map<string, { readonly range: AddressRange; readonly isOut: boolean }>();
  const broken: FwEntry[] = [];
  for (const entry of found.value) {
    const isOut = entry.text.startsWith('!');
    const address = entry.text.replace(/^!\s*/, '');
    const range = parseRange(address) ?? resolveAlias(address, names);
    if (range === undefined || isEverything(range)) broken.push(entry);
    else members.set(formatRange(range), { range, isOut });
  }
  const { isGuest } = found;
  // Proxmox' own names hold no dot.
  const name = isGuest ? found.name : `dc.${found.name}`;
  return { name, isGuest, ranges: matched([...members.values()]), broken };
}

/** A zero prefix, which IP sets don't take. */
const isEverything = ({ first, last, family }: AddressRange): boolean =>
  first === 0n && last === (1n << BigInt(bitsOf(family))) - 1n;

/** The longest prefix that holds an address decides: so from the widest to the narrowest, each adds or takes away. */
function matched(members: readonly { readonly range: AddressRange; readonly isOut: boolean }[]): AddressRange[] {
  const size = ({ first, last }: AddressRange): bigint => last - first;
  const widestFirst = [...members].sort((a, b) => (size(a.range) > size(b.range) ? -1 : 1));
  let ranges: AddressRange[] = [];
  for (const { range, isOut } of widestFirst) {
    ranges = isOut ? without(ranges, range) : mergeRanges(ranges.concat(range));
  }
  return ranges;
}

const without = (ranges: readonly AddressRange[], hole: AddressRange): AddressRange[] =>
  ranges.flatMap((range) => {
    if (range.family !== hole.family || range.last < hole.first || range.first > hole.last) return [range];
    return [
      ...(range.first < hole.first ? [{ ...range, last: hole.first - 1n }] : []),
      ...(range.last > hole.last ? [{ ...range, first: hole.last + 1n }] : []),
    ];
  });
