/** One object for all chains that say the same, so that its comments don't depend on who started first. */
import type { PolicyChain } from '../render/rule.ts';
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
    if (rival === undefined || places(chain) < places(rival)) chosen.set(hash, chain);
  }
}

const places = ({ rules, default: { origin } }: PolicyChain): string =>
  JSON.stringify([rules.map((rule) => rule.origin), origin]);
