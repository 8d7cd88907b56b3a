import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import configSchema from '../../policies/config.schema.json' with { type: 'json' };
import policySchema from '../../policies/policy.schema.json' with { type: 'json' };
import { type Format, schemaErrors } from '../../policies/validator.ts';
import { compileFiles, linesOf, problemsOf } from './compile-texts.ts';

interface Described {
  readonly place: string;
  readonly schema: Record<string, unknown>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every definition, and every property that isn't only a reference to one. */
function described(root: Record<string, unknown>, file: string): Described[] {
  const found: Described[] = [];
  const walk = (value: unknown, place: string) => {
    if (!isRecord(value)) return;
    for (const part of ['properties', '$defs']) {
      const members = value[part];
      if (!isRecord(members)) continue;
      for (const [name, member] of Object.entries(members)) {
        if (isRecord(member) && member['$ref'] === undefined && 'title' in member) {
          found.push({ place: `${place}/${name}`, schema: member });
        }
        walk(member, `${place}/${name}`);
      }
    }
  };
  walk(root, file);
  return found;
}

const all = [...described(policySchema, 'policy'), ...described(configSchema, 'config')];
const formats: readonly (readonly [Format, Record<string, unknown>])[] = [
  ['policy', policySchema],
  ['profile', policySchema.$defs.profile],
  ['services', policySchema.$defs.ownServices],
  ['set', policySchema.$defs.addressSet],
  ['expectations', policySchema.$defs.expectations],
  ['config', configSchema],
];

describe('the schemas document themselves', () => {
  test.each([policySchema, configSchema])('$title is a valid schema', (schema) => {
    const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
    expect(ajv.validateSchema(schema)).toBe(true);
    expect(() => ajv.compile(schema)).not.toThrow();
  });

  test.each(all)('$place has a description and examples', ({ schema }) => {
    expect(typeof schema['description']).toBe('string');
    if (schema['title'] !== 'Profile' && schema['title'] !== 'Nic') expect(schema['examples']).not.toHaveLength(0);
  });

  test.each(all)('the examples of $place are valid', ({ place, schema }) => {
    const root = place.startsWith('policy') ? policySchema : configSchema;
    const ajv = new Ajv({ allowUnionTypes: true, strictTypes: false, strictRequired: false });
    const definition = { ...schema, $defs: '$defs' in root ? root.$defs : {} };
    for (const example of Array.isArray(schema['examples']) ? schema['examples'] : []) {
      expect(ajv.validate(definition, example), JSON.stringify(example)).toBe(true);
    }
  });

  test('covers everything that a file can hold', () => {
    expect(all.length).toBeGreaterThan(30);
  });
});

test.each(formats)('an example of a %s file is valid, and a scalar is not', (format, schema) => {
  const examples = schema['examples'];
  for (const example of Array.isArray(examples) ? examples : []) expect(schemaErrors(format, example)).toEqual([]);
  expect(schemaErrors(format, 'text')).not.toEqual([]);
});

test('the policy of an untrusted container, as the documentation shows it', () => {
  const compiled = compileFiles(
    {
      'containers/tinderbox.yaml': `use: [base]                     # profiles: their rules come after this file's own
routes: [198.51.100.64/28]      # further prefixes routed to the container
egress:
  default: reject               # drop (the default) | reject | allow
  log: true                     # log what the default refuses
  rules:
    - allow: [rsync, squid]
      to: host
    - drop: tcp/25
      to: any
      log: true
    - allow: [tcp/80, tcp/443]
      to: [set:mirrors]
ingress:
  rules:
    - allow: [ssh, icmp/echo-request]
      from: [container:builder, 2001:db8:5::/64]
`,
      'profiles/base.yaml': '',
      'sets/mirrors.txt': '203.0.113.80',
    },
    'tinderbox',
  );
  expect(problemsOf(compiled)).toEqual([]);
  expect([...linesOf(compiled.default.egress), ...linesOf(compiled.default.ingress)]).toEqual([
    'tinderbox.yaml:7 allow tcp/873,3128 to host',
    'tinderbox.yaml:9 drop tcp/25 to any, logged',
    'tinderbox.yaml:12 allow tcp/80,443 to 203.0.113.80',
    'tinderbox.yaml:4 default reject, logged',
    'tinderbox.yaml:16 allow tcp/22 from 192.0.2.10',
    'tinderbox.yaml:16 allow icmp4/echo-request from 192.0.2.10',
    'tinderbox.yaml:16 allow tcp/22 from 2001:db8::10, 2001:db8:5::/64',
    'tinderbox.yaml:16 allow icmp6/echo-request from 2001:db8::10, 2001:db8:5::/64',
    '- default drop',
  ]);
});
