/** One policy or profile file: its checked data, the place of each part, and its problems. */
import { type ParsedContent, parseContent } from './parse-content.ts';
import type { Path, Place } from './places.ts';
import type { Policy } from './policy.gen.ts';
import type { Problem, Severity } from './problem.ts';
import { type FileContent, type Finding, maxStructuredBytes, readSourceText } from './source-text.ts';

export interface PolicyDocument {
  /** Relative to the policy folder. */
  readonly file: string;
  /** `false`: `policy` is only what is left for further checks, and never enforced. */
  readonly ok: boolean;
  readonly policy: Policy;
  readonly problems: readonly Problem[];
  readonly problemAt: (path: Path, message: string, severity?: Severity, part?: 'key' | 'value') => Problem;
  readonly placeOf: (path: Path, part?: 'key' | 'value') => Place;
}

/** Equal texts share what they parse to: ten thousand containers often have few different policies. */
export type ContentCache = Map<`${DocumentFormat} ${'yaml' | 'json'}`, Map<string, ParsedContent<DocumentFormat>>>;
type DocumentFormat = 'policy' | 'profile';

export function readPolicyDocument(
  file: string,
  content: FileContent,
  format: DocumentFormat,
  cache: ContentCache,
): PolicyDocument {
  const source = readSourceText(content, maxStructuredBytes);
  if ('finding' in source) return brokenDocument(file, [problemOf(file, source.finding)]);
  const syntax = file.endsWith('.json') ? 'json' : 'yaml';
  const known = cache.get(`${format} ${syntax}`) ?? new Map<string, ParsedContent<DocumentFormat>>();
  const parsed = known.get(source.text) ?? parseContent(format, source.text, syntax);
  cache.set(`${format} ${syntax}`, known.set(source.text, parsed));
  return documentOf(file, parsed);
}

/** `data`: `{}` for what is no policy and has places all the same. */
export function documentOf(
  file: string,
  { data, places, findings }: Pick<ParsedContent<DocumentFormat>, 'data' | 'places' | 'findings'>,
): PolicyDocument {
  const problems = findings.map((finding) => problemOf(file, finding));
  return {
    file,
    ok: data !== undefined && problems.every(({ severity }) => severity === 'warning'),
    policy: data ?? {},
    problems,
    problemAt: (path, message, severity = 'error', part = 'value') => ({
      file,
      ...places.placeOf(path, part),
      message,
      severity,
    }),
    placeOf: (path, part) => places.placeOf(path, part),
  };
}

export const problemOf = (file: string, { line, column, message, severity = 'error' }: Finding): Problem => ({
  file,
  line,
  column,
  message,
  severity,
});

/** Stands for a file that can't be used at all. */
export function brokenDocument(file: string, problems: readonly Problem[]): PolicyDocument {
  const top = { file, line: 1, column: 1 };
  return {
    file,
    ok: false,
    policy: {},
    problems,
    problemAt: (_path, message, severity = 'error') => ({ ...top, message, severity }),
    placeOf: () => ({ line: 1, column: 1 }),
  };
}
