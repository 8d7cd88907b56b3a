/** NICs that routewall.yaml plugs into wires: no policy applies to them, and nothing is routed there. */
import type { Container } from './endpoint.ts';
import type { LoadedPolicies } from './load-policies.ts';
import type { Problem } from './problem.ts';
import type { ConfiguredWire } from './wires-config.ts';

/** The NICs of that container that some wire names, by name or index. */
export function wiredNames(wires: readonly ConfiguredWire[], container: string): ReadonlySet<string> {
  const ends = wires.flatMap(({ a, b }) => [a, b]);
  return new Set(ends.flatMap((end) => (end.kind === 'container' && end.container === container ? [end.nic] : [])));
}

/** A policy that says something of a wired NIC would be without effect. */
export function wiredPolicyProblems({ name, wired = [] }: Container, loaded: LoadedPolicies): Problem[] {
  if (wired.length === 0) return [];
  const document = loaded.containers.get(name) ?? loaded.defaultPolicy;
  const interfaces = Object.keys(document?.policy.interfaces ?? {});
  return wired.flatMap(({ nic, index }) =>
    interfaces
      .filter((word) => word === nic || word === String(index))
      .flatMap((word) => {
        const message = `${nic} is the end of a wire: no policy applies to it; take this out, or the wire`;
        return document === undefined ? [] : [document.problemAt(['interfaces', word], message, 'error', 'key')];
      }),
  );
}
