// Bundles the product (dist/routewall.mjs) and the sandbox (dist/sandbox.mjs); both run on Node 18.19 and newer.
import { chmod } from 'node:fs/promises';
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
  logLevel: 'warning',
};

const entries = { 'dist/routewall.mjs': 'controller/main.ts', 'dist/sandbox.mjs': 'sandbox/main.ts' };
for (const [outfile, entry] of Object.entries(entries)) {
  await build({ ...common, entryPoints: [entry], outfile });
  await chmod(outfile, 0o755);
}
