/** The JSON Schemas at work: each is compiled when the first file of its kind is checked. */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import type { Config } from './config.gen.ts';
import configSchema from './config.schema.json' with { type: 'json' };
import type { Expectation, Policy } from './policy.gen.ts';
import policySchema from './policy.schema.json' with { type: 'json' };

/** Own service names, as services.yaml gives them. */
type OwnServices = Readonly<Record<string, string | readonly string[]>>;

/** Of both ends, which only they have. */
type Expectations = { readonly expect?: readonly Expectation[] };

export interface Formats {
  readonly policy: Policy;
  readonly profile: Policy;
  readonly services: OwnServices;
  readonly expectations: Expectations;
  readonly set: readonly string[];
  readonly config: Config;
}
export type Format = keyof Formats;

const references: Readonly<Record<Format, string>> = {
  policy: 'policy.schema.json',
  profile: 'policy.schema.json#/$defs/profile',
  services: 'policy.schema.json#/$defs/ownServices',
  set: 'policy.schema.json#/$defs/addressSet',
  expectations: 'policy.schema.json#/$defs/expectations',
  config: 'config.schema.json',
};

// Compiling takes 30 ms, which commands that read no policy need not pay.
let ajv: Ajv | undefined;
const compiled = new Map<Format, ValidateFunction>();

/** Every violation; empty where `data` is of the format. */
export function schemaErrors(format: Format, data: unknown): readonly ErrorObject[] {
  const validate = compiled.get(format) ?? compile(format);
  return validate(data) ? [] : (validate.errors ?? []);
}

/** Narrows what the schema has accepted to the type that is generated from the same schema. */
export function isOfFormat<F extends Format>(format: F, data: unknown): data is Formats[F] {
  return schemaErrors(format, data).length === 0;
}

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

function compile(format: Format): ValidateFunction {
  ajv ??= new Ajv({
    // Input is small (maxStructuredBytes), so that collecting all errors can't be abused.
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
  });
  const validate = ajv.compile({ $ref: references[format] });
  compiled.set(format, validate);
  return validate;
}
