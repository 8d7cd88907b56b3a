/** Rules that can never match, with the facts of this host. */

import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { PolicyDocument } from '../../policies/policy-document.ts';
import { isError, type Problem, uniqueProblems } from '../../policies/problem.ts';
import { warnOfShadowed } from '../../policies/shadowed-warnings.ts';
import { hostAddresses } from '../host/host-addresses.ts';
import { type Assembled, type HostInputs, problemsOf } from '../pass/assemble.ts';
import type { NicChange } from './flow-changes.ts';

/** More containers than this change at once on an empty kernel only; `check` asks about all of them. */
const ASKED = 500;

/** `names`: in what these containers use; else in all files. */
export function shadowWarnings(
  { loaded, now }: Pick<HostInputs, 'loaded' | 'now'>,
  assembled: Assembled,
  names?: readonly string[],
): Problem[] {
  const documents = names === undefined ? allOf(loaded) : names.slice(0, ASKED).flatMap((name) => usedBy(name, loaded));
  // Addresses take a while among thousands.
  if (documents.length === 0) return [];
  return warnOfShadowed(new Set(documents), { loaded, book: assembled.book, now }, hostAddresses(assembled));
}

const allOf = ({ containers, profiles, defaultPolicy }: LoadedPolicies): PolicyDocument[] => [
  ...containers.values(),
  ...profiles.values(),
  ...(defaultPolicy === undefined ? [] : [defaultPolicy]),
];

function usedBy(name: string, { containers, profiles, defaultPolicy }: LoadedPolicies): PolicyDocument[] {
  const own = containers.get(name) ?? defaultPolicy;
  if (own === undefined) return [];
  return [own, ...[own.policy.use ?? []].flat().flatMap((profile) => profiles.get(profile) ?? [])];
}

/** What is wrong, and what never matches in the policies of those who change. */
export function previewProblems(
  inputs: Pick<HostInputs, 'loaded' | 'now'>,
  assembled: Assembled,
  containers: readonly Container[],
  changes: readonly NicChange[],
): Problem[] {
  const errors = containers.flatMap((container) => problemsOf(assembled, container)).filter(isError);
  const changed = [...new Set(changes.map(({ container }) => container))];
  return uniqueProblems([...errors, ...shadowWarnings(inputs, assembled, changed)]);
}
