// Generates the TypeScript types of the configuration formats from their JSON Schemas; --check only compares.
import { readFile, writeFile } from 'node:fs/promises';
import { compileFromFile } from 'json-schema-to-typescript';

const schemas = {
  'policies/policy.schema.json': 'policies/policy.gen.ts',
  'policies/config.schema.json': 'policies/config.gen.ts',
};
const bannerComment = '// Generated from the JSON Schema beside it by `npm run generate`; do not edit.';

for (const [schema, target] of Object.entries(schemas)) {
  const text = await compileFromFile(schema, {
    bannerComment,
    additionalProperties: false,
    style: { singleQuote: true },
  });
  if (process.argv.includes('--check')) {
    if ((await readFile(target, 'utf8')) !== text) {
      console.error(`${target} is not what ${schema} says: run npm run generate`);
      process.exitCode = 1;
    }
  } else await writeFile(target, text);
}
