/** One object for all chains that say the same, so that its comments don't depend on which container started first. */
import type { Origin, PolicyChain } from '../render/rule.ts';
import { changedKeys } from '../render/shared-map.ts';
import { chainHash } from './chain-hash.ts';
import type { EnforcedPolicy } from './nic-plans.ts';
import { chainsOf } from './rule-ends.ts';

export interface Canonical {
  readonly chainFor: (chain: PolicyChain) => PolicyChain;
  /** Whether one that stands at other places stands now for chains of those whose policies stayed. */
  readonly concernsOthers: boolean;
}

/**
 * The chain whose places come first in the alphabet stands for all equal ones, among all configured containers,
 * running or not: starting one must not rewrite the comments of a chain that others use.
 *
 * @returns what that is by the policies, followed from one map to the next; it holds until the next is asked about
 */
export function followChains(): (policies: ReadonlyMap<string, EnforcedPolicy>) => Canonical {
  const chains = new CanonicalChains();
  let last: ReadonlyMap<string, EnforcedPolicy> = new Map();
  return (policies) => {
    const keys = changedKeys(last, policies);
    const of = (map: typeof last): EnforcedPolicy[] => keys.flatMap((key) => map.get(key) ?? []);
    const concernsOthers = chains.change(of(last), of(policies));
    last = policies;
    return { chainFor: chains.chainFor, concernsOthers };
  };
}

interface Equal {
  chosen: PolicyChain;
  users: number;
}

class CanonicalChains {
  readonly #users = new Map<PolicyChain, number>();
  /** By hash; `users` are those of all of them. */
  readonly #equal = new Map<string, Equal>();

  readonly chainFor = (chain: PolicyChain): PolicyChain => this.#equal.get(chainHash(chain))?.chosen ?? chain;

  /** @returns whether one at other places stands now for chains of those who neither went nor came. */
  change(gone: readonly EnforcedPolicy[], come: readonly EnforcedPolicy[]): boolean {
    const before = new Map<string, PolicyChain | undefined>();
    const note = (chain: PolicyChain): void => {
      const hash = chainHash(chain);
      if (!before.has(hash)) before.set(hash, this.#equal.get(hash)?.chosen);
    };
    for (const policy of gone) for (const chain of chainsOf(policy)) note(chain);
    for (const policy of come) for (const chain of chainsOf(policy)) note(chain);
    for (const policy of gone) for (const chain of chainsOf(policy)) this.#leave(chain);
    const staying = [...before.keys()].filter((hash) => this.#equal.has(hash));
    for (const policy of come) for (const chain of chainsOf(policy)) this.#join(chain);
    this.#chooseAgain(staying);
    return staying.some((hash) => !isSameText(before.get(hash), this.#equal.get(hash)?.chosen));
  }

  #leave(chain: PolicyChain): void {
    const users = this.#users.get(chain) ?? 0;
    if (users > 1) this.#users.set(chain, users - 1);
    else this.#users.delete(chain);
    const hash = chainHash(chain);
    const equal = this.#equal.get(hash);
    if (equal === undefined) return;
    equal.users -= 1;
    if (equal.users === 0) this.#equal.delete(hash);
  }

  #join(chain: PolicyChain): void {
    this.#users.set(chain, (this.#users.get(chain) ?? 0) + 1);
    const hash = chainHash(chain);
    const equal = this.#equal.get(hash);
    if (equal === undefined) {
      this.#equal.set(hash, { chosen: chain, users: 1 });
      return;
    }
    equal.users += 1;
    if (chain !== equal.chosen && comparePlaces(chain, equal.chosen) < 0) equal.chosen = chain;
  }

  /** Where nobody has the one any more that came first. */
  #chooseAgain(hashes: readonly string[]): void {
    const lost = new Map<string, Equal>();
    for (const hash of hashes) {
      const equal = this.#equal.get(hash);
      if (equal !== undefined && !this.#users.has(equal.chosen)) lost.set(hash, equal);
    }
    if (lost.size === 0) return;
    for (const chain of this.#users.keys()) {
      const equal = lost.get(chainHash(chain));
      if (equal === undefined) continue;
      if (!this.#users.has(equal.chosen) || comparePlaces(chain, equal.chosen) < 0) equal.chosen = chain;
    }
  }
}

/** Of two with one hash. */
const isSameText = (a: PolicyChain | undefined, b: PolicyChain | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    comparePlaces(a, b) === 0 &&
    compareOrigins(a.observe?.origin, b.observe?.origin) === 0);

/** Below 0 where the first one's come first. */
function comparePlaces(a: PolicyChain, b: PolicyChain): number {
  for (const [index, { origin }] of a.rules.entries()) {
    const order = compareOrigins(origin, b.rules[index]?.origin);
    if (order !== 0) return order;
  }
  return compareOrigins(a.default.origin ?? undefined, b.default.origin ?? undefined);
}

function compareOrigins(a: Origin | undefined, b: Origin | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || (a.column ?? 0) - (b.column ?? 0);
}
