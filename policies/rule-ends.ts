/** When rules end by themselves: what depends on the time, and what is left of a policy at a moment. */
import type { PolicyChain, Rule } from '../render/rule.ts';
import type { EnforcedPolicy } from './compile.ts';
import type { CompiledNic } from './compile-policy.ts';
import type { Lookup } from './lookups.ts';

/** Seconds since 1970, ascending, each once: every moment at which the policies mean something else. */
export function endsOf(
  policies: Iterable<{ readonly lookups: readonly Lookup[]; readonly enforced: EnforcedPolicy }>,
): number[] {
  const ends = new Set<number>();
  for (const { lookups, enforced } of policies) {
    for (const { kind, name } of lookups) if (kind === 'ended') ends.add(Number(name));
    for (const { until } of rulesOf(enforced)) if (until !== undefined) ends.add(until);
  }
  return [...ends].sort((a, b) => a - b);
}

/** `now` in milliseconds. */
export const hasEnded = (end: number, now: number): boolean => end * 1000 <= now;

/** Of every chain, each rule once. */
export function rulesOf({ default: wide, interfaces }: EnforcedPolicy): ReadonlySet<Rule> {
  const chains = [wide, ...interfaces.values()].flatMap(({ egress, ingress }) => [egress, ingress]);
  return new Set(chains.flatMap(({ rules }) => rules));
}

/** The same object where none of its rules has ended: a last good policy ends its rules as any other does. */
export function withoutEnded(policy: EnforcedPolicy, now: number): EnforcedPolicy {
  if (![...rulesOf(policy)].some((rule) => isOver(rule, now))) return policy;
  const nic = ({ egress, ingress }: CompiledNic): CompiledNic => ({
    egress: chainWithout(egress, now),
    ingress: chainWithout(ingress, now),
  });
  const interfaces = new Map([...policy.interfaces].map(([name, own]) => [name, nic(own)]));
  return { ...policy, default: nic(policy.default), interfaces };
}

const isOver = ({ until }: Rule, now: number): boolean => until !== undefined && hasEnded(until, now);

const chainWithout = (chain: PolicyChain, now: number): PolicyChain =>
  chain.rules.some((rule) => isOver(rule, now))
    ? { ...chain, rules: chain.rules.filter((rule) => !isOver(rule, now)) }
    : chain;
