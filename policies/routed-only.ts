/** What a policy asks for that only a routed NIC can have, where the container hangs on bridges. */
import type { Origin } from '../render/rule.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import type { Container } from './endpoint.ts';
import { policyPath } from './policy-files.ts';
import type { Problem } from './problem.ts';

/** None where a NIC is routed: then that one has it. */
export function routedOnlyProblems(
  { endpoints }: Container,
  { routes, nat, tables = [] }: Pick<CompiledPolicy, 'routes' | 'nat' | 'tables'>,
): Problem[] {
  const [first] = endpoints;
  if (first === undefined || endpoints.some(({ attachment }) => attachment === undefined)) return [];
  const bridge = first.attachment?.bridge ?? '';
  const problem = (origin: Origin, what: string): Problem => ({
    ...{ file: policyPath(origin.file), line: origin.line, column: origin.column ?? 1, severity: 'error' },
    message: `${what} for a NIC on a bridge, as all of this container's are: leave it out, or take ${bridge} out of its configuration to have it routed`,
  });
  const [route] = routes;
  const [published] = nat?.publications ?? [];
  return [
    ...(route === undefined ? [] : [problem(route.origin, `no ${tables.length > 0 ? 'routes and tables' : 'routes'}`)]),
    ...(nat?.masqueradeOrigin === undefined ? [] : [problem(nat.masqueradeOrigin, 'no address translation')]),
    ...(published === undefined ? [] : [problem(published.origin, 'nothing is published')]),
  ];
}
