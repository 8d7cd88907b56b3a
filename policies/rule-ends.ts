/** When rules end by themselves: what depends on the time, and what is left of a policy at a moment. */
import type { PolicyChain, Rule } from '../render/rule.ts';
import type { CompiledNic } from './compile-policy.ts';
import type { Lookup } from './lookups.ts';
import type { EnforcedPolicy } from './nic-plans.ts';

/** Seconds since 1970, ascending, each once: every moment at which the policies mean something else. */
export function endsOf(
  policies: Iterable<{ readonly lookups: readonly Lookup[]; readonly enforced: EnforcedPolicy }>,
): number[] {
  const ends = new Set<number>();
  // Most of many share a few.
  const chains = new Set<PolicyChain>();
  for (const { lookups, enforced } of policies) {
    for (const { kind, name } of lookups) if (kind === 'ended') ends.add(Number(name));
    for (const chain of chainsOf(enforced)) chains.add(chain);
  }
  for (const { observe, rules } of chains)
    for (const until of [observe?.until, ...rules.map((rule) => rule.until)]) if (until !== undefined) ends.add(until);
  return [...ends].sort((a, b) => a - b);
}

/** `now` in milliseconds. */
export const hasEnded = (end: number, now: number): boolean => end * 1000 <= now;

/** Of every chain, each rule once. */
export const rulesOf = (policy: EnforcedPolicy): ReadonlySet<Rule> =>
  new Set(chainsOf(policy).flatMap(({ rules }) => rules));

export const chainsOf = ({ default: wide, interfaces }: EnforcedPolicy): PolicyChain[] =>
  [wide, ...interfaces.values()].flatMap(({ egress, ingress }) => [egress, ingress]);

/** The same object where nothing of it has ended: a last good policy ends its rules as any other does. */
export function withoutEnded(policy: EnforcedPolicy, now: number): EnforcedPolicy {
  if (!chainsOf(policy).some((chain) => chainWithout(chain, now) !== chain)) return policy;
  const nic = ({ egress, ingress, ...rest }: CompiledNic): CompiledNic => ({
    ...rest,
    egress: chainWithout(egress, now),
    ingress: chainWithout(ingress, now),
  });
  const interfaces = new Map([...policy.interfaces].map(([name, own]) => [name, nic(own)]));
  return { ...policy, default: nic(policy.default), interfaces };
}

const isOver = ({ until }: { readonly until?: number }, now: number): boolean =>
  until !== undefined && hasEnded(until, now);

/** The same object where nothing of it has ended; `now` in milliseconds. */
export function chainWithout(chain: PolicyChain, now: number): PolicyChain {
  const observes = chain.observe !== undefined && !isOver(chain.observe, now);
  const kept = observes === (chain.observe !== undefined) ? chain : enforced(chain);
  return kept.rules.some((rule) => isOver(rule, now))
    ? { ...kept, rules: kept.rules.filter((rule) => !isOver(rule, now)) }
    : kept;
}

/** As it is when it doesn't observe. */
export function enforced({ observe: _, ...chain }: PolicyChain): PolicyChain {
  return chain;
}
