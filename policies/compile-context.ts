/** What the steps of compiling one policy share: the files and names that they ask, and where problems go. */
import type { Lookups, PolicySources } from './lookups.ts';
import type { Path } from './places.ts';
import type { Policy } from './policy.gen.ts';
import type { PolicyDocument } from './policy-document.ts';
import type { Problem } from './problem.ts';

export interface CompileContext extends PolicySources {
  readonly lookups: Lookups;
  readonly report: (problem: Problem) => void;
}

/** The container's own file, or a profile that it uses. */
export interface Layer {
  readonly document: PolicyDocument;
  readonly policy: Policy;
}

/** A word of a policy and where it stands. */
export interface PlacedWord {
  readonly text: string;
  readonly path: Path;
}

/** A single word and a list of words are the same thing. */
export function placedWords(value: string | readonly string[], path: Path): PlacedWord[] {
  if (typeof value === 'string') return [{ text: value, path }];
  return value.map((text, index) => ({ text, path: [...path, index] }));
}
