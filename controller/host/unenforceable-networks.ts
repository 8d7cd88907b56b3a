/** By container: what of its network no policy can be enforced on, or not by this host's backend. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { Problem } from '../../policies/problem.ts';
import { unenforceableProblems } from '../../policies/unenforceable.ts';
import { unmatchedInterfaces, withInterfaces } from '../../policies/unmatched-interfaces.ts';
import type { BackendName } from '../apply/backend.ts';
import { backendProblems } from '../iptables/backend-problems.ts';

export function unenforceableNetworks(
  containers: readonly Container[],
  policies: ReadonlyMap<string, { readonly compiled: CompiledPolicy }>,
  loaded: LoadedPolicies,
  config: HostConfig,
  backend: BackendName | undefined,
): ReadonlyMap<string, readonly Problem[]> {
  const problems = new Map<string, readonly Problem[]>();
  const strictOf = (id: string): boolean => policies.get(id)?.compiled.strict ?? config.strict;
  const serving = backend ?? config.backend;
  for (const container of containers) {
    const told = serving === 'iptables' ? backendProblems(container, policies.get(container.id)?.compiled) : NONE;
    if (told.length > 0) problems.set(container.id, told);
    if (container.unenforceable === undefined && container.unconnected === undefined) continue;
    const policyFile = loaded.containers.get(container.name)?.file ?? null;
    const others = unenforceableProblems(container, { policyFile, strict: strictOf(container.id) });
    problems.set(container.id, [...told, ...others]);
  }
  for (const namesakes of withInterfaces(containers, loaded).values()) {
    for (const { id } of namesakes)
      problems.set(id, [...(problems.get(id) ?? []), ...unmatchedInterfaces(namesakes, loaded, strictOf(id))]);
  }
  return problems;
}

const NONE: readonly Problem[] = [];
