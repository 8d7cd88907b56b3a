// Prints what of other people's ships, a line each: NAME VERSION. Writes no file.
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { bundledFolders, SHIPPED } from './bundles.mjs';

const lines = new Set();
for (const options of SHIPPED) {
  const { metafile } = await build({ ...options, write: false });
  for (const folder of bundledFolders(metafile)) {
    const { name, version } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
    lines.add(`${name} ${version}`);
  }
}
console.log([...lines].sort().join('\n'));
