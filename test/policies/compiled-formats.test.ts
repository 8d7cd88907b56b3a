/** What the program holds of the schemas says the same, word for word, as what the compiler makes of them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FormatName, references, validatorOf } from '../../policies/compile-formats.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';

let built: { validatorOf: typeof validatorOf };
let text: string;

beforeAll(async () => {
  const outfile = join(await makeFolder(), 'formats.mjs');
  await execa('node', ['scripts/bundle.mjs', 'policies/compile-formats.ts', outfile]);
  built = await import(pathToFileURL(outfile).href);
  text = await readFile(outfile, 'utf8');
});
afterAll(cleanUp);

const FORMATS = Object.keys(references).filter((name): name is FormatName => Object.hasOwn(references, name));

function judged(by: typeof validatorOf, format: FormatName, data: unknown): unknown {
  const validate = by(format);
  return [validate(data), validate.errors ?? null];
}

/** Of words that mean something, at places where they do and where they don't. */
const WORDS = [
  'allow',
  'drop',
  'egress',
  'ingress',
  'rules',
  'to',
  'from',
  'default',
  'use',
  'limit',
  'until',
  'expect',
];
const VALUES = ['any', 'tcp/80', '10/second', 'host', 'reject', '192.0.2.1', '', 'set:x', 7, true, null];
const { data } = fc.letrec((tie) => ({
  data: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...VALUES),
    fc.array(tie('data'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...WORDS, 'guard', 'log', 'uplinks', 'x'), tie('data'), { maxKeys: 4 }),
  ),
}));

it.each([
  [{}],
  [{ egress: { default: 'reject', rules: [{ allow: ['rsync', 'tcp/80'], to: 'host', log: true }] } }],
  [
    {
      egress: {
        rules: [
          { allow: 'tcp/80', drop: 'any' },
          { allow: 7, to: '' },
        ],
      },
      ingres: {},
    },
  ],
  [{ guard: ['veth*'], log: { group: 70000, rate: 'x' }, lxcPaths: '/x', resync: -1 }],
  [{ web: 'tcp/80', dns: ['udp/53', 53] }],
  [['192.0.2.0/24', 'x', 7]],
])('about %j', (example) => {
  for (const format of FORMATS)
    expect(judged(built.validatorOf, format, example), format).toEqual(judged(validatorOf, format, example));
});

it('about anything', () => {
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), data, (format, each) => {
      expect(judged(built.validatorOf, format, each)).toEqual(judged(validatorOf, format, each));
    }),
    { numRuns: 2000 },
  );
});

it('tells all mistakes of a long list, and copies none of them for the next', () => {
  const rules = Array.from({ length: 1_000 }, () => ({ alow: 'ssh' }));
  for (const by of [validatorOf, built.validatorOf]) {
    const validate = by('policy');
    expect(validate({ egress: { rules } })).toBe(false);
    const unknown = (validate.errors ?? []).filter(({ keyword }) => keyword === 'additionalProperties');
    expect(new Set(unknown.map(({ instancePath }) => instancePath)).size).toBe(rules.length);
  }
  expect(text).toContain('vErrors');
  expect(text).not.toContain('vErrors.concat');
});
