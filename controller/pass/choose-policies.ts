/** Which policy each container gets: its own, the default, the last good one, or none. */
import type { AddressBook } from '../../policies/address-book.ts';
import { compileAt } from '../../policies/compile-at.ts';
import { type CompiledPolicy, closedPolicy, isFresh } from '../../policies/compile-policy.ts';
import { createTwinCompiler } from '../../policies/compile-twins.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { type ExpectationFacts, expectationFacts } from '../../policies/expectations/expectation-facts.ts';
import { createJudge } from '../../policies/expectations/judge-policy.ts';
import type { HostNetwork } from '../../policies/host-network.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { formatProblem } from '../../policies/problem.ts';
import { withoutEnded } from '../../policies/rule-ends.ts';
import type { PolicyStatus } from './policy-status.ts';

export interface ContainerPolicy {
  /** Relative to the policy folder; `null` where there is none. */
  readonly file: string | null;
  readonly status: PolicyStatus;
  /** What the files say; `compiled`: the same, broken where it isn't what they expect. */
  readonly written: CompiledPolicy;
  readonly compiled: CompiledPolicy;
  readonly enforced: EnforcedPolicy;
  /** What a file of the user's said when it was last good; absent where none ever was. */
  readonly good?: CompiledPolicy;
}

export type PolicyArguments = [
  containers: readonly Container[],
  loaded: LoadedPolicies,
  book: AddressBook,
  lastGood: ReadonlyMap<string, CompiledPolicy>,
  config: HostConfig,
  facts: () => ExpectationFacts,
];

/** Most hosts expect nothing of their policies, and need not pay for it. */
export function lazyFacts(
  network: HostNetwork,
  containers: readonly Container[],
  book: AddressBook,
  { dns }: HostConfig,
) {
  let facts: ExpectationFacts | undefined;
  return (): ExpectationFacts => {
    facts ??= expectationFacts({ network, containers, book, accept: dns.accept });
    return facts;
  };
}

/** `before`: what was chosen last; who gets the same keeps the same object. `now` in milliseconds. */
export function choosePolicies(
  before: ReadonlyMap<string, ContainerPolicy>,
  now: number,
  ...[containers, loaded, book, lastGood, { withoutPolicy }, facts]: PolicyArguments
): Map<string, ContainerPolicy> {
  const chosen = new Map<string, ContainerPolicy>();
  const sources = { loaded, book, now };
  const { judge } = createJudge(facts);
  const compile = createTwinCompiler();
  for (const { id, name, endpoints } of containers) {
    const old = before.get(id);
    const fresh = old !== undefined && isFresh(old.written, sources, withoutPolicy);
    const written = fresh ? old.written : compile(name, sources, { withoutPolicy, id });
    const compiled = judge(written, endpoints);
    // A good one is in force as it is, whatever the time.
    if (fresh && compiled.ok && compiled === old.compiled) {
      chosen.set(id, old);
      continue;
    }
    const next = { ...enforce(compiled, old?.good ?? lastGood.get(name), { id, now }), written };
    chosen.set(id, old !== undefined && isSame(old, next) ? old : next);
  }
  return chosen;
}

/** What is judged to be broken is made anew each time. */
const isSame = (old: ContainerPolicy, next: ContainerPolicy): boolean =>
  old.written === next.written &&
  old.enforced === next.enforced &&
  (old.compiled === next.compiled || sameProblems(old.compiled, next.compiled));

const sameProblems = ({ problems: a }: CompiledPolicy, { problems: b }: CompiledPolicy): boolean =>
  a.length === b.length &&
  a.every((problem, index) => formatProblem(problem) === (b[index] && formatProblem(b[index])));

function enforce(
  compiled: CompiledPolicy,
  lastGood: CompiledPolicy | undefined,
  { id, now }: { readonly id: string; readonly now: number },
): Omit<ContainerPolicy, 'written'> {
  const { file, ok } = compiled;
  if (ok) {
    if (file === null) return { file, status: compiled.withoutPolicy, compiled, enforced: compiled };
    return { file, status: 'ok', compiled, enforced: compiled, good: compiled };
  }
  if (lastGood !== undefined) {
    // Time goes on for it, also backwards: what ended while the clock was wrong comes back with it.
    const again = compileAt(lastGood, id, now);
    // No good policy at that moment, such as one that would observe for too long.
    if (!again.ok)
      return { file, status: 'last-good', compiled, enforced: withoutEnded(lastGood, now), good: lastGood };
    return { file, status: 'last-good', compiled, enforced: again, good: again };
  }
  return { file, status: 'closed', compiled, enforced: CLOSED };
}

const CLOSED: EnforcedPolicy = { default: closedPolicy, interfaces: new Map(), routes: [] };
