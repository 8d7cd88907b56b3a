/** One question to DNS about a name: its addresses of both families, and for how long each holds. */
import { Resolver } from 'node:dns/promises';

export interface ToldAddress {
  readonly address: string;
  /** Seconds; the least of the whole chain of aliases. */
  readonly ttl: number;
}

/** That a name doesn't exist, or has no address of the family, is an answer: an empty one. */
export type Told =
  | { readonly kind: 'answer'; readonly addresses: readonly ToldAddress[] }
  | { readonly kind: 'failure'; readonly why: string };

export interface LookupResult {
  readonly 4: Told;
  readonly 6: Told;
}

export type LookUp = (name: string) => Promise<LookupResult>;

/** Of one try; a server that stays silent is tried again, and then the next one. */
const TRY_MS = 2000;
const TRIES = 2;
/** However many servers there are. */
const MOST_MS = 15_000;

/** `servers`: as Resolver.setServers takes them; without them those of /etc/resolv.conf at the time of the question. */
export function dnsLookup(servers?: readonly string[]): LookUp {
  return async (name) => {
    // One for each question: it reads resolv.conf again, sends from another port, and has no cache of its own.
    const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    const timer = setTimeout(() => resolver.cancel(), MOST_MS);
    try {
      const [four, six] = await Promise.all([
        resolver.resolve4(name, { ttl: true }).then(answer, failure),
        resolver.resolve6(name, { ttl: true }).then(answer, failure),
      ]);
      return { 4: four, 6: six };
    } finally {
      clearTimeout(timer);
    }
  };
}

const answer = (addresses: readonly ToldAddress[]): Told => ({ kind: 'answer', addresses });

function failure(cause: unknown): Told {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOTFOUND' || code === 'ENODATA') return answer([]);
  return { kind: 'failure', why: typeof code === 'string' ? code : String(cause) };
}
