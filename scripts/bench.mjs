// Runs bench/NAME.ts: `node scripts/bench.mjs NAME`. Figures that depend on NODE_EXTRA_CA_CERTS are nobody's.
import { spawn } from 'node:child_process';
import { build } from 'esbuild';

const [name, ...args] = process.argv.slice(2);
if (!/^[a-z-]+$/.test(name ?? '')) {
  console.error('usage: node scripts/bench.mjs NAME, for a file bench/NAME.ts');
  process.exit(2);
}
const outfile = `.cache/bench-${name}.mjs`;
await build({
  entryPoints: [`bench/${name}.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
});
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
const child = spawn(process.execPath, [outfile, ...args], { stdio: 'inherit', env });
// The bench takes away what it made, so it has to hear of the end.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
