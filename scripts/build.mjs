// Builds dist/. Each file takes its place at once: a program that starts meanwhile reads the old one or the new one.
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLES } from './bundles.mjs';

const PARTS = 'dist/parts';
/** Of the former build, which a program that started before may still be about to read. */
const former = partsOf(JSON.parse(await readFile('dist/routewall.meta.json', 'utf8').catch(() => '{}')));

for (const options of BUNDLES) {
  const { metafile, outputFiles } = await build({ ...options, write: false });
  // Parts first: what names them comes when they are there.
  const isPart = ({ path }) => dirname(path).endsWith('parts');
  for (const { path, contents } of outputFiles.sort((a, b) => Number(isPart(b)) - Number(isPart(a)))) {
    await put(path, contents);
  }
  // What the bundle holds, for the package and its list of licences.
  const [name] = Object.keys(options.entryPoints);
  await put(`dist/${name}.meta.json`, JSON.stringify(metafile));
  if (options.splitting) await removeParts([...former, ...partsOf(metafile)]);
}

function partsOf({ outputs = {} }) {
  return Object.keys(outputs).map((path) => basename(path));
}

async function removeParts(kept) {
  for (const name of await readdir(PARTS)) if (!kept.includes(name)) await rm(join(PARTS, name));
}

async function put(path, contents) {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, contents);
  if (path.endsWith('.mjs')) await chmod(fresh, 0o755);
  await rename(fresh, path);
}
