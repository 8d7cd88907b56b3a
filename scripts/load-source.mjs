// Imports a TypeScript source of the product into a script, for which Node itself is too old.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** `file`: from the repository's root. @returns the module's exports */
export async function loadSource(file) {
  const options = { bundle: true, platform: 'node', format: 'esm', packages: 'external', write: false };
  const { outputFiles } = await build({ ...options, entryPoints: [join(root, file)] });
  // Where its packages are found.
  const built = join(root, '.cache', `${basename(file, '.ts')}-${process.pid}.mjs`);
  await mkdir(dirname(built), { recursive: true });
  await writeFile(built, outputFiles[0].contents);
  return await import(pathToFileURL(built).href).finally(() => rm(built));
}
