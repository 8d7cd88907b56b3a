/** Which container owns an address that several claim: the one that has it keeps it, the others wait. */
import { type AddressRange, familyOf, isHostPrefix, type Prefix, rangeOf, rangesOverlap } from '../render/address.ts';

export interface Claim {
  /** `LXCPATH/CONTAINER/INDEX` of the NIC. */
  readonly key: string;
  readonly container: string;
  readonly prefix: Prefix;
}

export interface RefusedClaim extends Claim {
  /** The container that owns the address, or part of the prefix. */
  readonly owner: string;
}

export interface ContestedClaim extends Claim {
  readonly range: AddressRange;
}

/**
 * The claims that lose. Claims win that are held, then those of running containers, then those that are first by key.
 *
 * @param holds whether the NIC has the prefix in the kernel; one that runs and lost it doesn't
 * @param running by key
 */
export function refuseClaims(
  contested: readonly ContestedClaim[],
  holds: (claim: Claim) => boolean,
  running: Pick<ReadonlySet<string>, 'has'>,
): RefusedClaim[] {
  const rank = (claim: Claim): number => (holds(claim) ? 0 : running.has(claim.key) ? 1 : 2);
  const ordered = [...contested].sort(
    (a, b) => rank(a) - rank(b) || compareText(a.key, b.key) || compareText(a.prefix, b.prefix),
  );
  const won: ContestedClaim[] = [];
  const refused: RefusedClaim[] = [];
  for (const claim of ordered) {
    const owner = won.find((other) => other.key !== claim.key && rangesOverlap(other.range, claim.range));
    if (owner === undefined) won.push(claim);
    else refused.push({ key: claim.key, container: claim.container, prefix: claim.prefix, owner: owner.container });
  }
  return refused;
}

/**
 * The claims that overlap a claim of another NIC. A NIC may repeat itself; one container's NICs may not share either, since a
 * packet can only be routed to one of them.
 */
export function findContested(claims: readonly Claim[]): ContestedClaim[] {
  // Mostly all are single addresses, which overlap where they are the same.
  const areSingle = claims.every(({ prefix }) => isHostPrefix(prefix));
  return sweep(areSingle ? repeated(claims) : claims);
}

function repeated(claims: readonly Claim[]): Claim[] {
  const owners = new Map<Prefix, string>();
  const shared = new Set<Prefix>();
  for (const { key, prefix } of claims) {
    const owner = owners.get(prefix);
    if (owner === undefined) owners.set(prefix, key);
    else if (owner !== key) shared.add(prefix);
  }
  return shared.size === 0 ? [] : claims.filter(({ prefix }) => shared.has(prefix));
}

/** Over the sorted ranges: each is compared with the widest that began before it. */
function sweep(claims: readonly Claim[]): ContestedClaim[] {
  const located = claims
    .map((claim): ContestedClaim => ({ ...claim, range: rangeOf(claim.prefix) }))
    .sort(
      (a, b) =>
        familyOf(a.prefix) - familyOf(b.prefix) ||
        compareNumber(a.range.first, b.range.first) ||
        compareNumber(b.range.last, a.range.last),
    );
  const contested = new Set<ContestedClaim>();
  let open: ContestedClaim[] = [];
  for (const claim of located) {
    open = open.filter((other) => rangesOverlap(other.range, claim.range));
    for (const other of open) {
      if (other.key === claim.key) continue;
      contested.add(other);
      contested.add(claim);
    }
    open.push(claim);
  }
  return [...contested];
}

const compareNumber = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
