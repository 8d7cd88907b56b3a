/** The profiles that a policy uses, in its order. */
import { type CompileContext, type Layer, placedWords } from './compile-context.ts';
import { isError, type Problem } from './problem.ts';
import { didYouMean, missingFile } from './suggest.ts';

export interface UsedProfile {
  readonly layer: Layer;
  /** What the policy's `use` line says of an error in the profile. */
  readonly blame: (problem: Problem) => Problem;
}

/** Unknown and broken profiles are reported where they are used, and left out. */
export function resolveUse({ document, policy }: Layer, context: CompileContext): UsedProfile[] {
  const used = new Map<string, UsedProfile>();
  for (const { text: name, path } of placedWords(policy.use ?? [], ['use'])) {
    const profile = context.lookups.ask('profile', name);
    const blame = ({ file, line }: Problem) =>
      document.problemAt(path, `the profile "${name}" has errors: see ${file}:${line}`);
    if (profile === undefined) {
      const hint = didYouMean(name, context.loaded.profiles.keys()) || missingFile('profiles', name, '.yaml');
      context.report(document.problemAt(path, `unknown profile "${name}"${hint}`));
    } else if (!profile.ok) {
      const first = profile.problems.find(isError);
      context.report(blame(first ?? { file: profile.file, line: 1, column: 1, message: '', severity: 'error' }));
    } else if (used.has(name)) {
      context.report(document.problemAt(path, `the profile "${name}" is used twice: once is enough`, 'warning'));
    } else used.set(name, { layer: { document: profile, policy: profile.policy }, blame });
  }
  return [...used.values()];
}
