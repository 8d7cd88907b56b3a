/** What is known of one name, and how an answer or the lack of one changes it. Pure; times are milliseconds since 1970. */
import type { LookupResult, Told } from './dns-lookup.ts';

export interface SeenAddress {
  readonly address: string;
  /** When an answer last held it, and for how many seconds it said so. */
  readonly seen: number;
  readonly ttl: number;
}

export interface DnsRecord {
  /** By address. */
  readonly addresses: readonly SeenAddress[];
  /** When a server last answered about a family; `null` before the first answer. */
  readonly answered: number | null;
  /** When to ask again. */
  readonly next: number;
  /** How often in a row a server failed to answer, and what came of it. */
  readonly failures: number;
  readonly error: string | null;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;

/** Between two questions about a name, whatever its TTL. */
const LEAST_MS = 10 * SECOND;
const MOST_MS = HOUR;
/** After an empty answer, which comes without a TTL. */
const EMPTY_MS = 60 * SECOND;
/** After a failure; twice as long after each further one. */
const RETRY_MS = { first: 5 * SECOND, most: 300 * SECOND };
/** Of both families; the ones that were seen last. */
export const MOST_ADDRESSES = 256;

export const NOTHING_KNOWN: DnsRecord = { addresses: [], answered: null, next: 0, failures: 0, error: null };

/** How long an address stays after it was last in an answer, in milliseconds, if its TTL isn't longer. */
export interface Lasting {
  /** While servers fail. */
  readonly keepMs: number;
  /** While they answer without it: names with many addresses tell some of them at a time. */
  readonly holdMs: number;
}

/** `spread`: from 0 to 1, so that names aren't asked all at once. */
export function learnAnswer(
  before: DnsRecord,
  told: LookupResult,
  { now, keepMs, holdMs, spread }: Lasting & { readonly now: number; readonly spread: number },
): DnsRecord {
  // After a clock that was set back nothing lasts longer than from now.
  const known = new Map(before.addresses.map((one) => [one.address, { ...one, seen: Math.min(one.seen, now) }]));
  for (const { address, ttl } of [...addressesOf(told[4]), ...addressesOf(told[6])]) {
    known.set(address, { address, ttl, seen: now });
  }
  const holdOf = ({ address }: SeenAddress): number =>
    told[address.includes(':') ? 6 : 4].kind === 'failure' ? keepMs : holdMs;
  const ends = (one: SeenAddress): number => one.seen + Math.max(one.ttl * SECOND, holdOf(one));
  const addresses = [...known.values()]
    .filter((one) => ends(one) > now)
    .sort((a, b) => b.seen - a.seen || (a.address < b.address ? -1 : 1))
    .slice(0, MOST_ADDRESSES);
  const failed = [told[4], told[6]].flatMap((one) => (one.kind === 'failure' ? [one.why] : []));
  const failures = failed.length === 0 ? 0 : before.failures + 1;
  const fresh = addresses.filter(({ seen }) => seen === now).map(({ ttl }) => ttl * SECOND);
  const waits = [
    failures > 0 ? Math.min(RETRY_MS.first * 2 ** Math.min(failures - 1, 10), RETRY_MS.most) : MOST_MS,
    // Nothing else would notice that an address has to go.
    ...addresses.map((one) => ends(one) - now),
    ...(fresh.length > 0 ? fresh : failures > 0 ? [] : [EMPTY_MS]),
  ];
  const wait = Math.max(Math.min(...waits), failures > 0 ? RETRY_MS.first : LEAST_MS);
  return {
    addresses,
    answered: failed.length < 2 ? now : before.answered,
    next: now + Math.round(wait * (1 + spread / 10)),
    failures,
    error: failed.length === 0 ? null : [...new Set(failed)].join(', '),
  };
}

const addressesOf = (told: Told) => (told.kind === 'answer' ? told.addresses : []);

/** What an earlier run left, without what has ended since. */
export function withoutEnded(record: DnsRecord, now: number, keepMs: number): DnsRecord {
  const addresses = record.addresses.filter(
    ({ seen, ttl }) => Math.min(seen, now) + Math.max(ttl * SECOND, keepMs) > now,
  );
  // Nothing passes by it; and whoever starts the daemon anew may have mended why.
  const next = addresses.length === 0 ? 0 : Math.min(record.next, now + MOST_MS);
  return { ...record, addresses, next };
}

export const sameAddresses = (a: DnsRecord, b: DnsRecord): boolean => listOf(a) === listOf(b);

const listOf = ({ addresses }: DnsRecord): string =>
  addresses
    .map(({ address }) => address)
    .sort()
    .join();
