/** What is wrong with the policies of containers: those concerned keep their last good policy, or stay shut. */
import { isError, type Problem, uniqueProblems } from '../../policies/problem.ts';
import type { Assembled } from '../pass/assemble.ts';

type Compiled = Pick<Assembled, 'policies'>;

export const errorsOf = ({ policies }: Compiled): Problem[] =>
  uniqueProblems([...policies.values()].flatMap(({ compiled }) => compiled.problems.filter(isError)));

/** The files that the errors are in, paths in the policy folder. */
export const brokenFiles = (assembled: Compiled): string[] =>
  [...new Set(errorsOf(assembled).map(({ file }) => file))].sort();
