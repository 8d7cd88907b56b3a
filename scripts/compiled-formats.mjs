// What policies/compile-formats.ts would compile at each start, as code: that takes Node 100 ms, and ajv 210 KB of the bundle.
import { resolve } from 'node:path';
import standalone from 'ajv/dist/standalone/index.js';
import { loadSource } from './load-source.mjs';

/** A module with the same `validatorOf`. */
export async function compileFormats() {
  const { createAjv, references, withAppendedErrors } = await loadSource('policies/compile-formats.ts');
  const ajv = createAjv({ source: true, esm: true });
  const names = Object.keys(references);
  for (const name of names) ajv.addSchema({ $id: `format-${name}`, $ref: references[name] });
  const code = standalone.default(ajv, Object.fromEntries(names.map((name) => [name, `format-${name}`])));
  return `${withAppendedErrors(code)}\nconst validators = { ${names.join(', ')} };\nexport const validatorOf = (format) => validators[format];\n`;
}

/** For esbuild. */
export const compiledFormats = {
  name: 'compiled-formats',
  setup(builder) {
    builder.onLoad({ filter: /[/]policies[/]compile-formats[.]ts$/ }, async () => ({
      contents: await compileFormats(),
      loader: 'js',
      resolveDir: resolve('.'),
    }));
  },
};
