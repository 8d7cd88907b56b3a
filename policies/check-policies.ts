/** Every problem of the policy folder at once, also of profiles that nobody uses. */
import type { AddressBook } from './address-book.ts';
import { compileDocument, compilePolicy } from './compile-policy.ts';
import type { LoadedPolicies } from './load-policies.ts';
import { createLookups } from './lookups.ts';
import { type Problem, uniqueProblems } from './problem.ts';

/** Sorted by file and place. */
export function checkPolicies(loaded: LoadedPolicies, book: AddressBook): Problem[] {
  const problems: Problem[] = [...loaded.problems];
  const context = {
    loaded,
    book,
    lookups: createLookups(loaded, book),
    report: (problem: Problem) => void problems.push(problem),
  };
  for (const name of loaded.containers.keys()) problems.push(...compilePolicy(name, loaded, book).problems);
  const templates = [
    ...loaded.profiles,
    ...(loaded.defaultPolicy ? [['_default', loaded.defaultPolicy] as const] : []),
  ];
  for (const [name, document] of templates) compileDocument(name, document, context);
  return uniqueProblems(problems);
}
