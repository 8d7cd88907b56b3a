/** Whom policies name outside of this host, and for each an address that stands for it. */
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import { rangesContain } from '../../policies/model.ts';
import {
  type Address,
  type AddressRange,
  addressFrom,
  addressNumber,
  type Family,
  familyOf,
  formatRange,
  parseAddress,
  rangeOf,
  rangesOverlap,
} from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { NON_PUBLIC } from '../../render/non-public.ts';
import { destinationSide, type FlowHost, sourceSide } from '../explain/flow-sides.ts';
import type { End } from './service-set.ts';

export interface OutsidePeer {
  /** `set:mirrors`, `192.0.2.0/24`, or `lan` and `internet`. */
  readonly label: string;
  /** What it is a part of, where all of it is. */
  readonly within: 'lan' | 'internet' | null;
  readonly ends: ReadonlyMap<Family, End>;
}

type Ranges = readonly AddressRange[];

/** The lists of addresses that the policies in force match, each once. */
export function matchedRanges({ nics }: DesiredState): Ranges[] {
  const lists = new Map<string, Ranges>();
  for (const nic of nics.values()) {
    for (const { peer } of [...nic.egress.rules, ...nic.ingress.rules]) {
      if (peer.kind === 'ranges') lists.set(keyOf(peer.ranges), peer.ranges);
    }
  }
  return [...lists].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, ranges]) => ranges);
}

const keys = new WeakMap<Ranges, string>();

/** Sets may be long and are matched by many rules. */
function keyOf(ranges: Ranges): string {
  const key = keys.get(ranges) ?? ranges.map(formatRange).join();
  keys.set(ranges, key);
  return key;
}

/** A longer list that is no set is one peer, not a crowd of them. */
const LISTED = 4;

export function outsidePeers(host: FlowHost, lists: readonly Ranges[], loaded: LoadedPolicies): OutsidePeer[] {
  const sets = new Map<string, string>();
  for (const [name, { ranges }] of loaded.sets)
    for (const family of [4, 6] as const) sets.set(keyOf(ranges[family]), name);
  const named = new Map<string, Ranges[]>();
  const add = (label: string, ranges: Ranges): void => void named.set(label, [...(named.get(label) ?? []), ranges]);
  for (const ranges of lists) {
    const [first] = ranges;
    const set = sets.get(keyOf(ranges));
    if (set !== undefined) add(`set:${set}`, ranges);
    else if (ranges.length <= LISTED) for (const range of ranges) add(formatRange(range), [range]);
    else if (first !== undefined) add(`${formatRange(first)} and ${ranges.length - 1} more`, ranges);
  }
  const peers = [...named].map(([label, parts]) => ({
    label,
    ends: endsOf(host, parts, lists),
    within: withinOf(host, parts),
  }));
  return [...peers, lanPeer(host, lists), internetPeer(host, lists)].filter(({ ends }) => ends.size > 0);
}

function withinOf({ network }: FlowHost, parts: readonly Ranges[]): OutsidePeer['within'] {
  const ranges = parts.flat();
  const lan = network.onLink.map(({ range }) => range);
  const holds = (outer: AddressRange) => (range: AddressRange) =>
    outer.family === range.family && outer.first <= range.first && outer.last >= range.last;
  if (ranges.every((range) => lan.some((outer) => holds(outer)(range)))) return 'lan';
  const others = [...lan, ...NON_PUBLIC[4].map(rangeOf), ...NON_PUBLIC[6].map(rangeOf)];
  return ranges.some((range) => others.some((outer) => rangesOverlap(outer, range))) ? null : 'internet';
}

function endsOf(host: FlowHost, parts: readonly Ranges[], lists: readonly Ranges[]): Map<Family, End> {
  const ends = new Map<Family, End>();
  for (const ranges of parts) {
    const [first] = ranges;
    const end = bestEnd(host, candidatesIn(ranges, host, lists), lists);
    if (first !== undefined && end !== undefined && !ends.has(first.family)) ends.set(first.family, end);
  }
  return ends;
}

/** More candidates than this are tried for no peer: what is that cut up is answered for by one of its parts. */
const TRIED = 64;

/** Its own beginning, and what follows each smaller range within, be it named by a rule or a container's. */
function candidatesIn(ranges: Ranges, { desired, network }: FlowHost, lists: readonly Ranges[]): Address[] {
  const inner = [...lists.flat(), ...network.onLink.map(({ range }) => range)];
  const owned = [...desired.nics.values()].flatMap(({ owned: prefixes }) => prefixes.map(rangeOf));
  const found: Address[] = [];
  for (const { family, first, last } of ranges.slice(0, TRIED)) {
    const ends = [
      ...inner.flatMap((range) => (range.family === family ? [range.last, range.first] : [])),
      ...owned.flatMap((end) => (end.family === family ? [end.last] : [])),
    ];
    const within = ends.map((end) => end + 1n).filter((number) => number > first && number <= last);
    const numbers = [first, first + 1n, ...new Set(within)].filter((number) => number <= last).slice(0, TRIED);
    found.push(...numbers.map((number) => addressFrom(number, family)));
  }
  return found;
}

/** The first that lies outside and is named by the fewest lists: others would answer for a smaller peer within. */
function bestEnd(host: FlowHost, candidates: readonly Address[], lists: readonly Ranges[]): End | undefined {
  let best: { readonly end: End; readonly named: number } | undefined;
  for (const address of candidates) {
    const side = sourceSide(host, address);
    if (side.kind !== 'outside' || destinationSide(host, address, { kind: 'host' }).kind !== 'outside') continue;
    const number = addressNumber(address);
    const named = lists.filter((ranges) => ranges[0]?.family === familyOf(address) && rangesContain(ranges, number));
    if (best === undefined || named.length < best.named) best = { end: { address, side }, named: named.length };
  }
  return best?.end;
}

function lanPeer(host: FlowHost, lists: readonly Ranges[]): OutsidePeer {
  const ends = new Map<Family, End>();
  for (const { range } of host.network.onLink) {
    const near = Array.from({ length: 16 }, (_, index) => BigInt(index + 1));
    const numbers = near.flatMap((step) => [range.last - step, range.first + step]);
    const inside = numbers.filter((number) => number >= range.first && number <= range.last);
    const end = bestEnd(
      host,
      inside.map((number) => addressFrom(number, range.family)),
      lists,
    );
    if (end !== undefined && !ends.has(range.family)) ends.set(range.family, end);
  }
  return { label: 'lan', within: null, ends };
}

/** Of networks that nobody uses; more than one, since a policy may name one of them. */
const STRANGERS: Readonly<Record<Family, readonly string[]>> = {
  4: ['198.18.0.1', '198.19.255.1', '1.2.3.4', '100.0.0.1', '223.255.255.1'],
  6: ['2001:2::1', '2001:2:0:ffff::1', '2a00::1', '2600::1', '3ffe::1'],
};

function internetPeer(host: FlowHost, lists: readonly Ranges[]): OutsidePeer {
  const ends = new Map<Family, End>();
  for (const family of [4, 6] as const) {
    const addresses = STRANGERS[family].flatMap((text) => parseAddress(text) ?? []);
    const end = bestEnd(host, addresses, lists);
    if (end !== undefined) ends.set(family, end);
  }
  return { label: 'internet', within: null, ends };
}
