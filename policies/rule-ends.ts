/** When rules end by themselves: what depends on the time, and what is left of a policy at a moment. */
import type { PolicyChain, Rule } from '../render/rule.ts';
import type { CompiledNic } from './compile-policy.ts';
import type { Lookup } from './lookups.ts';
import type { EnforcedPolicy } from './nic-plans.ts';

const NONE: readonly number[] = [];

/** Seconds since 1970, maybe repeated: every moment at which the policy means something else. */
export function endsOf(lookups: readonly Lookup[], enforced: EnforcedPolicy): readonly number[] {
  const asked = endsAsked(lookups);
  const written = chainsOf(enforced).map(endsOfChain);
  // Hardly a rule ends.
  return asked === NONE && written.every((ends) => ends === NONE) ? NONE : [...asked, ...written.flat()];
}

/** Of what many containers share, found once. */
function rememberEnds<K extends object>(find: (of: K) => readonly number[]): (of: K) => readonly number[] {
  const known = new WeakMap<K, readonly number[]>();
  return (of) => {
    const before = known.get(of);
    if (before !== undefined) return before;
    const ends = find(of);
    const kept = ends.length === 0 ? NONE : ends;
    known.set(of, kept);
    return kept;
  };
}

const endsAsked = rememberEnds((lookups: readonly Lookup[]) =>
  lookups.flatMap(({ kind, name }) => (kind === 'ended' ? Number(name) : [])),
);

const endsOfChain = rememberEnds(({ observe, rules }: PolicyChain) =>
  [observe?.until, ...rules.map(({ until }) => until)].flatMap((until) => until ?? []),
);

/** `now` in milliseconds. */
export const hasEnded = (end: number, now: number): boolean => end * 1000 <= now;

/** Of every chain, each rule once. */
export const rulesOf = (policy: EnforcedPolicy): ReadonlySet<Rule> =>
  new Set(chainsOf(policy).flatMap(({ rules }) => rules));

export function chainsOf({ default: wide, interfaces }: EnforcedPolicy): PolicyChain[] {
  const chains = [wide.egress, wide.ingress];
  for (const { egress, ingress } of interfaces.values()) chains.push(egress, ingress);
  return chains;
}

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
