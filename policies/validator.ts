/** The JSON Schemas at work. */
import type { ErrorObject } from 'ajv';
import { validatorOf } from './compile-formats.ts';
import type { Config } from './config.gen.ts';
import type { Expectation, Policy } from './policy.gen.ts';

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

/** Every violation; empty where `data` is of the format. */
export function schemaErrors(format: Format, data: unknown): readonly ErrorObject[] {
  const validate = validatorOf(format);
  return validate(data) ? [] : (validate.errors ?? []);
}

/** Narrows what the schema has accepted to the type that is generated from the same schema. */
export function isOfFormat<F extends Format>(format: F, data: unknown): data is Formats[F] {
  return schemaErrors(format, data).length === 0;
}
