/** Compiles policies given as texts, and shows the result as lines that a test can state. */

import { type AddressBook, createAddressBook } from '../../policies/address-book.ts';
import { type CompiledPolicy, compilePolicy, type WithoutPolicy } from '../../policies/compile-policy.ts';
import { describeRule } from '../../policies/describe-rule.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { formatProblem } from '../../policies/problem.ts';
import type { FileContent } from '../../policies/source-text.ts';
import { parsePrefix } from '../../render/address.ts';
import type { PolicyChain } from '../../render/rule.ts';

export const bookOf = (
  containers: Record<string, readonly string[]>,
  groups: Record<string, readonly string[]> = {},
): AddressBook => {
  const prefixes = (record: Record<string, readonly string[]>) =>
    new Map(Object.entries(record).map(([name, texts]) => [name, texts.flatMap((text) => parsePrefix(text) ?? [])]));
  return createAddressBook(prefixes(containers), prefixes(groups));
};

export const book = bookOf(
  {
    builder: ['192.0.2.10/32', '2001:db8::10/128'],
    legacy: ['192.0.2.11/32'],
    web: ['192.0.2.12/32'],
    bare: [],
  },
  { ci: ['192.0.2.10/32', '192.0.2.11/32', '2001:db8::10/128'], empty: [] },
);

/** When the tests' policies are read. */
const NOW = Date.parse('2026-06-01T00:00:00Z');

export const filesOf = (files: Record<string, FileContent>): Map<string, FileContent> => new Map(Object.entries(files));

export function compileFiles(
  files: Record<string, FileContent>,
  name = 'web',
  withoutPolicy: WithoutPolicy = 'closed',
): CompiledPolicy {
  return compilePolicy(name, { loaded: loadPolicies(filesOf(files)), book, now: NOW }, { withoutPolicy });
}

export const compileText = (text: string): CompiledPolicy => compileFiles({ 'containers/web.yaml': text });

export const problemsOf = ({ problems }: CompiledPolicy): string[] => problems.map((problem) => formatProblem(problem));

/** `web.yaml:4 allow tcp/22 to host`, one for each rule, and the default at the end. */
export function linesOf(chain: PolicyChain): string[] {
  const { verdict, log, origin } = chain.default;
  return [
    ...chain.rules.map((rule) => `${rule.origin.file}:${rule.origin.line} ${describeRule(rule, chain.direction)}`),
    `${origin === null ? '-' : `${origin.file}:${origin.line}`} default ${verdict}${log ? ', logged' : ''}`,
  ];
}
