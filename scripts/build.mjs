// Builds dist/. Each file takes its place at once: a program that starts meanwhile reads the old one or the new one.
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { build } from 'esbuild';
import { BUNDLES } from './bundles.mjs';

for (const options of BUNDLES) {
  const { metafile, outputFiles } = await build({ ...options, write: false });
  for (const { path, contents } of outputFiles) await put(path, contents);
  // What the bundle holds, for the package's list of licences.
  await put(options.outfile.replace(/\.mjs$/, '.meta.json'), JSON.stringify(metafile));
}

async function put(path, contents) {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, contents);
  if (path.endsWith('.mjs')) await chmod(fresh, 0o755);
  await rename(fresh, path);
}
