/** Every problem of the policy folder at once, also of profiles that nobody uses. */
import { type CompiledPolicy, compileDocument, compilePolicy } from './compile-policy.ts';
import { createLookups, type PolicySources } from './lookups.ts';
import { type Problem, uniqueProblems } from './problem.ts';

/** Sorted by file and place. `compiledOf`: a container's policy, where somebody has compiled it already. */
export function checkPolicies(
  sources: PolicySources,
  compiledOf: (name: string) => CompiledPolicy = (name) => compilePolicy(name, sources),
): Problem[] {
  const { loaded } = sources;
  const problems: Problem[] = [...loaded.problems];
  const context = {
    ...sources,
    lookups: createLookups(sources),
    report: (problem: Problem) => void problems.push(problem),
  };
  for (const name of loaded.containers.keys()) problems.push(...compiledOf(name).problems);
  const templates = [
    ...loaded.profiles,
    ...(loaded.defaultPolicy ? [['_default', loaded.defaultPolicy] as const] : []),
  ];
  for (const [name, document] of templates) compileDocument({ container: name, id: name }, document, context);
  return uniqueProblems(problems);
}
