/** Policies in a line or two, and what is said of their mistakes. */
import { expect, test } from 'vitest';
import { compileText, problemsOf } from './compile-texts.ts';

/** A policy of one egress rule; the rule stands in line 3. */
export const rule = (text: string) => `egress:\n  rules:\n    - ${text}\n`;
export const allow = (service: string) => rule(`allow: ${service}\n      to: any`);
export const to = (peer: string) => rule(`allow: ssh\n      to: ${peer}`);

type Row = readonly [text: string, ...problems: string[]];

export function expectProblems(rows: readonly Row[]): void {
  test.each(rows.map(([text, ...problems]) => ({ text, problems })))('$problems', ({ text, problems }) => {
    const compiled = compileText(text);
    expect(problemsOf(compiled)).toEqual(problems.map((line) => `containers/web.yaml:${line}`));
    expect(compiled.ok).toBe(false);
  });
}
