/** Readers of the policy folder's files, each as the loader meets it. */
import { expect } from 'vitest';
import { loadPolicies } from '../../policies/load-policies.ts';
import { compileFiles } from '../policies/compile-texts.ts';
import * as corpora from './corpora.ts';
import { FILE, type Reader } from './reader.ts';

/** Every complaint has a place. */
const loadedAs = (path: string) => (text: string) => {
  const { problems } = loadPolicies(new Map([[path, text]]));
  return problems.map((problem) => expect(problem.line).toBeGreaterThan(0));
};

export const policyReaders: readonly Reader[] = [
  {
    name: 'a policy',
    corpus: corpora.policyTexts,
    read: (text) => compileFiles({ 'containers/web.yaml': text }),
    longest: FILE,
  },
  { name: 'a policy in JSON', corpus: corpora.policyTexts, read: loadedAs('containers/web.json'), longest: FILE },
  {
    name: 'a profile',
    corpus: corpora.policyTexts,
    read: (text) => compileFiles({ 'containers/web.yaml': 'use: [base]\n', 'profiles/base.yaml': text }),
    longest: FILE,
  },
  { name: 'a set in YAML', corpus: corpora.setTexts, read: loadedAs('sets/s.yaml'), longest: FILE },
  { name: 'a set as a list', corpus: corpora.setTexts, read: loadedAs('sets/s.txt'), longest: 64 * FILE },
  { name: 'services.yaml', corpus: corpora.serviceTexts, read: loadedAs('services.yaml'), longest: FILE },
];
