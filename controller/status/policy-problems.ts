/** Every problem of the policy folder, also of policies whose container doesn't exist yet. */
import { checkPolicies } from '../../policies/check-policies.ts';
import { type CompiledPolicy, compilePolicy } from '../../policies/compile-policy.ts';
import { expectationFacts } from '../../policies/expectations/expectation-facts.ts';
import { createJudge } from '../../policies/expectations/judge-policy.ts';
import type { Problem } from '../../policies/problem.ts';
import type { Assembled, HostInputs } from '../pass/assemble.ts';

/** Where two containers have one name, the policy is judged by the NICs of the first. */
export function policyProblems(
  { loaded, now, containers, config }: Pick<HostInputs, 'loaded' | 'now' | 'containers' | 'config'>,
  { policies, network, book }: Assembled,
): Problem[] {
  const sources = { loaded, book, now };
  const known = new Map<string, CompiledPolicy>();
  for (const { id, name } of containers) {
    const policy = policies.get(id);
    if (policy !== undefined && !known.has(name)) known.set(name, policy.compiled);
  }
  const { judge } = createJudge(() => expectationFacts({ network, book, containers, accept: config.dns.accept }));
  return checkPolicies(sources, (name) => known.get(name) ?? judge(compilePolicy(name, sources)));
}
