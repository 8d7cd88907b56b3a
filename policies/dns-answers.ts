/** Which of DNS's answers a policy's names stand for: the owner of a name must not open ways to what isn't the internet. */
import {
  type Address,
  type AddressRange,
  contains,
  mergeRanges,
  type Prefix,
  parseRange,
  rangeOf,
} from '../render/address.ts';
import type { DnsAddresses, DnsName } from '../render/dns-name.ts';
import { carriedBy, PRIVATE } from '../render/non-public.ts';
import { dnsNamesOf } from '../render/policy-chain.ts';
import type { AddressBook } from './address-book.ts';
import { type HostNetwork, linkPrefixes } from './host-network.ts';
import type { EnforcedPolicy } from './nic-plans.ts';
import { chainsOf } from './rule-ends.ts';

export interface IgnoredAnswer {
  readonly address: Address;
  /** Such as `a private address`. */
  readonly why: string;
}

export interface JudgedAnswers {
  readonly dns: DnsAddresses;
  /** By name; each is to be told. */
  readonly ignored: ReadonlyMap<DnsName, readonly IgnoredAnswer[]>;
}

/** Every name that the policy means, maybe repeated. */
export const namesIn = (policy: EnforcedPolicy): DnsName[] => chainsOf(policy).flatMap(dnsNamesOf);

/**
 * What counts is what the word `internet` means, and what lies in `accept`. This host's own addresses, and those that
 * mean another machine to everyone (loopback, link-local, multicast), never count.
 */
export function judgeAnswers(
  names: readonly DnsName[],
  answers: DnsAddresses,
  network: HostNetwork,
  book: AddressBook,
  accept: readonly Prefix[],
): JudgedAnswers {
  const dns = new Map<DnsName, readonly Address[]>();
  const ignored = new Map<DnsName, readonly IgnoredAnswer[]>();
  const judge = judgeOf(network, book, accept);
  for (const name of names) {
    const verdicts = (answers.get(name) ?? []).map((address) => ({ address, why: judge(address) }));
    const bad = verdicts.flatMap(({ address, why }) => (why === undefined ? [] : [{ address, why }]));
    if (bad.length > 0) ignored.set(name, bad);
    dns.set(name, verdicts.flatMap(({ address, why }) => (why === undefined ? [address] : [])).sort());
  }
  return { dns, ignored };
}

const rangesOf = (...texts: readonly string[]): AddressRange[] => texts.flatMap((text) => parseRange(text) ?? []);

const NEVER = [
  ...rangesOf('0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'),
  ...rangesOf('::/127', '::ffff:0:0/96', 'fe80::/10', 'fec0::/10', 'ff00::/8'),
];
const PRIVATE_RANGES = [...PRIVATE[4], ...PRIVATE[6]].map(rangeOf);

/** Why an address doesn't count; `undefined` for one that does. */
function judgeOf(
  network: HostNetwork,
  book: AddressBook,
  accept: readonly Prefix[],
): (address: Address) => string | undefined {
  const own = new Set([...network.links.values()].flatMap((link) => link.addresses.map(({ address }) => address)));
  const accepted = accept.map(rangeOf);
  // Uplinks or not: a network of management is none that a name may mean.
  const near = mergeRanges([...network.links.keys()].flatMap((link) => linkPrefixes(network, link)).map(rangeOf));
  const judge = (address: Address): string | undefined => {
    if (own.has(address) || network.addresses.has(address)) return 'an address of this host';
    if (isIn(NEVER, address)) return 'a loopback, link-local, multicast or reserved address';
    if (isIn(accepted, address)) return undefined;
    if (isIn(PRIVATE_RANGES, address)) return 'a private address';
    if (isIn(containerRanges(book), address)) return 'an address of a container here';
    if (isIn(near, address)) return "an address of this host's own network";
    const carried = carriedBy(address);
    const why = carried === undefined ? undefined : judge(carried);
    return why === undefined ? undefined : `${why}, ${carried}, as IPv6 carries it`;
  };
  return judge;
}

const isIn = (ranges: readonly AddressRange[], address: Address): boolean =>
  ranges.some((range) => contains(range, address));

const known = new WeakMap<AddressBook, readonly AddressRange[]>();

function containerRanges(book: AddressBook): readonly AddressRange[] {
  const before = known.get(book);
  if (before !== undefined) return before;
  const ranges = mergeRanges([...book.containerNames()].flatMap((name) => (book.container(name) ?? []).map(rangeOf)));
  known.set(book, ranges);
  return ranges;
}
