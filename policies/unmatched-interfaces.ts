/** What a policy says under `interfaces` of NICs that it can't be about: it would be without effect. */
import type { Container } from './endpoint.ts';
import type { LoadedPolicies } from './load-policies.ts';
import type { Problem } from './problem.ts';
import { nameUnenforceable, whyUnenforceable } from './unenforceable.ts';

/**
 * Of a container's own file; a profile, or `_default.yaml`, is for containers that have other NICs. `namesakes`: all that
 * have the file, in whatever LXC path. Wired NICs are told by wiredPolicyProblems.
 */
export function unmatchedInterfaces(
  namesakes: readonly Container[],
  loaded: LoadedPolicies,
  strict: boolean,
): Problem[] {
  const [first] = namesakes;
  const document = first === undefined ? undefined : loaded.containers.get(first.name);
  if (first === undefined || document?.policy.interfaces === undefined) return [];
  const unenforceable = namesakes.flatMap((one) => one.unenforceable ?? []);
  const others = namesakes.flatMap(({ wired = [], unwired = [] }) => [...wired, ...unwired]);
  const known = [...namesakes.flatMap(({ endpoints }) => endpoints), ...others];
  // Nothing is known of a configuration that can't be read.
  if (known.length === 0 && unenforceable.length === 0) return [];
  return Object.keys(document.policy.interfaces).flatMap((word) => {
    if (known.some(({ nic, index }) => word === nic || word === String(index))) return [];
    const at = (message: string, severity: Problem['severity']): Problem[] => [
      document.problemAt(['interfaces', word], message, severity, 'key'),
    ];
    const past = unenforceable.find(({ nic }) => nic === word);
    if (past === undefined) {
      const names = known.map(({ nic }) => nic);
      const has = [...new Set(names)].join(', ') || 'none that a policy can be about';
      return at(`${first.name} has no NIC ${word}; it has ${has}`, 'warning');
    }
    const { why, instead } = whyUnenforceable(past);
    const message = `${nameUnenforceable(past)}: no policy can be enforced, since ${why}; ${instead}`;
    return at(message, strict ? 'error' : 'warning');
  });
}

const named = new WeakMap<LoadedPolicies, ReadonlySet<string>>();

/** The containers whose own file has something under `interfaces`, by name. */
export function withInterfaces(
  containers: readonly Container[],
  loaded: LoadedPolicies,
): ReadonlyMap<string, readonly Container[]> {
  const names = named.get(loaded) ?? namesWithInterfaces(loaded);
  named.set(loaded, names);
  const found = new Map<string, Container[]>();
  // Most hosts have none.
  if (names.size === 0) return found;
  for (const container of containers) {
    if (!names.has(container.name)) continue;
    const namesakes = found.get(container.name);
    if (namesakes === undefined) found.set(container.name, [container]);
    else namesakes.push(container);
  }
  return found;
}

function namesWithInterfaces({ containers }: LoadedPolicies): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, { policy }] of containers) if (policy.interfaces !== undefined) names.add(name);
  return names;
}
