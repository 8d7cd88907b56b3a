/** Compiles formats from the schemas; the program holds what comes of it (scripts/compiled-formats.mjs), and no compiler. */
import { Ajv, type Options, type ValidateFunction } from 'ajv';
import configSchema from './config.schema.json' with { type: 'json' };
import policySchema from './policy.schema.json' with { type: 'json' };

export type FormatName = keyof typeof references;

export const references = {
  policy: 'policy.schema.json',
  profile: 'policy.schema.json#/$defs/profile',
  services: 'policy.schema.json#/$defs/ownServices',
  set: 'policy.schema.json#/$defs/addressSet',
  expectations: 'policy.schema.json#/$defs/expectations',
  config: 'config.schema.json',
} as const;

/**
 * Our schemas refer to each other by a file's name and a fragment, or the fragment alone. ajv's own reader of URIs knows
 * all that RFC 3986 does, has had a hole a month, and isn't shipped.
 */
const uriResolver: NonNullable<Options['uriResolver']> = {
  parse: (uri) => {
    const [path = '', fragment = ''] = uri.split('#');
    return { path, fragment };
  },
  serialize: ({ path = '', fragment = '' }) => (fragment === '' ? path : `${path}#${fragment}`),
  resolve: (base, reference) => (reference.startsWith('#') ? `${base.split('#')[0]}${reference}` : reference),
};

/**
 * ajv adds the errors of each list element to those before it by making another array of all: of 16,000 wrong rules, ten
 * seconds in which nobody else is served.
 */
export const withAppendedErrors = (code: string): string =>
  code.replaceAll(/vErrors\.concat\((\w+\.errors)\)/g, '($1.forEach((error) => vErrors.push(error)), vErrors)');

export const createAjv = (code: Options['code'] = {}): Ajv =>
  new Ajv({
    // Input is small (maxStructuredBytes) and errors are appended, so that collecting all of them can't be abused.
    allErrors: true,
    uriResolver,
    verbose: true,
    allowUnionTypes: true,
    strictTypes: false,
    // A test checks the schemas themselves; here it would double the time.
    meta: false,
    validateSchema: false,
    strictRequired: false,
    schemas: [policySchema, configSchema],
    code: { ...code, process: withAppendedErrors },
  });

let ajv: Ajv | undefined;
const compiled = new Map<FormatName, ValidateFunction>();

/** When the first file of its kind is checked. */
export function validatorOf(format: FormatName): ValidateFunction {
  const known = compiled.get(format);
  if (known !== undefined) return known;
  ajv ??= createAjv();
  const validate = ajv.compile({ $ref: references[format] });
  compiled.set(format, validate);
  return validate;
}
