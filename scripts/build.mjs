// Bundles the product (dist/routewall.mjs) and the sandbox (dist/sandbox.mjs); both run on Node 18.19 and newer.
import { chmod, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

// CommonJS libraries inside an ESM bundle call require() for Node's own modules.
const banner = `#!/usr/bin/env node
import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18.19',
  banner: { js: banner },
  legalComments: 'linked',
  // dbus-next asks an X server for the address of a session bus, if at all; the system bus has a fixed one.
  external: ['x11'],
  logLevel: 'warning',
};

// Graphviz stays a file of its own: nobody but `routewall map --format svg` shall read its 800 KB.
const GRAPHVIZ = '@hpcc-js/wasm-graphviz';
const entries = {
  'dist/routewall.mjs': 'controller/main.ts',
  'dist/sandbox.mjs': 'sandbox/main.ts',
  'dist/graphviz.mjs': GRAPHVIZ,
};
for (const [outfile, entry] of Object.entries(entries)) {
  const apart =
    entry === GRAPHVIZ
      ? {}
      : { alias: { [GRAPHVIZ]: './graphviz.mjs' }, external: [...common.external, './graphviz.mjs'] };
  const { metafile } = await build({ ...common, ...apart, entryPoints: [entry], outfile, metafile: true });
  await chmod(outfile, 0o755);
  // What the bundle holds, for the package's list of licences.
  await writeFile(outfile.replace(/\.mjs$/, '.meta.json'), JSON.stringify(metafile));
}
