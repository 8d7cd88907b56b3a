// What is built: the product, its picture drawer and the sandbox. They run on Node 18.19 and newer.

import { compiledFormats } from './compiled-formats.mjs';

// CommonJS libraries inside an ESM bundle call require() for Node's own modules.
const banner = `#!/usr/bin/env node
import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

// dbus-next loads them for what is never called here: to describe services of its own as XML, and to reach a bus through
// another program; they would bring eleven packages, two of them with a history. jsbi stands in for BigInt where there is none.
const unused = {
  name: 'unused',
  setup(build) {
    build.onResolve({ filter: /^(xml2js|event-stream|jsbi)$/ }, ({ path }) => ({ path, namespace: 'unused' }));
    build.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'exports.Builder = class {};' }));
  },
};

// What Node before version 5 had no Buffer.from for.
const alias = { 'safe-buffer': 'node:buffer' };

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18.19',
  banner: { js: banner },
  legalComments: 'linked',
  plugins: [unused, compiledFormats],
  alias,
  logLevel: 'warning',
  metafile: true,
};

// dbus-next asks an X server for the address of a session bus, if at all; the system bus has a fixed one.
const external = ['x11'];
// Graphviz stays a file of its own: nobody but `routewall map --format svg` shall read its 800 KB.
const GRAPHVIZ = '@hpcc-js/wasm-graphviz';
const apart = (path) => ({ alias: { ...alias, [GRAPHVIZ]: path }, external: [...external, path] });

/** One file of whatever entry. */
export const WHOLE = { ...common, ...apart('./graphviz.mjs') };

/** Each command reads its own parts: to read all 2.5 MB costs Node as much as two more of itself. */
const PROGRAM = {
  ...{ ...common, ...apart('../graphviz.mjs'), entryPoints: { routewall: 'controller/main.ts' } },
  ...{ outdir: 'dist', outExtension: { '.js': '.mjs' }, splitting: true, chunkNames: 'parts/[name]-[hash]' },
};

/** What the package holds. */
export const SHIPPED = [
  PROGRAM,
  { ...common, external, entryPoints: { graphviz: GRAPHVIZ }, outfile: 'dist/graphviz.mjs' },
];

export const BUNDLES = [
  ...SHIPPED,
  { ...WHOLE, entryPoints: { sandbox: 'sandbox/main.ts' }, outfile: 'dist/sandbox.mjs' },
];

/** `node_modules/dbus-next/node_modules/long`: the package folders of which at least one byte got into the bundle. */
export function bundledFolders({ outputs }) {
  const folders = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => {
      const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
      return folder !== undefined && bytesInOutput > 0 ? [folder] : [];
    }),
  );
  return [...new Set(folders)].sort();
}
