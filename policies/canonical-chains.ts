/** One object for all chains that say the same, so that its comments don't depend on which container started first. */
import type { Origin, PolicyChain } from '../render/rule.ts';
import { chainHash } from './chain-hash.ts';
import type { CompiledNic, CompiledPolicy } from './compile-policy.ts';

/**
 * The chain whose places come first in the alphabet stands for all equal ones, among all configured containers,
 * running or not: starting one must not rewrite the comments of a chain that others use.
 */
export function canonicalChains(
  policies: Iterable<Pick<CompiledPolicy, 'default' | 'interfaces'>>,
): (chain: PolicyChain) => PolicyChain {
  const chosen = new Map<string, PolicyChain>();
  const seen = new Set<PolicyChain>();
  for (const policy of policies) {
    for (const nic of [policy.default, ...policy.interfaces.values()]) offer(nic, chosen, seen);
  }
  return (chain) => chosen.get(chainHash(chain)) ?? chain;
}

function offer(nic: CompiledNic, chosen: Map<string, PolicyChain>, seen: Set<PolicyChain>): void {
  for (const chain of [nic.egress, nic.ingress]) {
    if (seen.has(chain)) continue;
    seen.add(chain);
    const hash = chainHash(chain);
    const rival = chosen.get(hash);
    if (rival === undefined || comparePlaces(chain, rival) < 0) chosen.set(hash, chain);
  }
}

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
