// Builds dist/.
import { chmod, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { BUNDLES } from './bundles.mjs';

for (const options of BUNDLES) {
  const { metafile } = await build(options);
  await chmod(options.outfile, 0o755);
  // What the bundle holds, for the package's list of licences.
  await writeFile(options.outfile.replace(/\.mjs$/, '.meta.json'), JSON.stringify(metafile));
}
