/** Before tests that run the program itself: builds it where a source is newer. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = ['controller', 'policies', 'render', 'watchers', 'sandbox', 'scripts', 'package-lock.json'];

/** vitest calls it once per project. */
export async function setup(): Promise<void> {
  const built = join(root, 'dist/routewall.mjs');
  if (existsSync(built) && SOURCES.every((source) => newest(join(root, source)) < statSync(built).mtimeMs)) return;
  await execa(process.execPath, ['scripts/build.mjs'], { cwd: root });
}

function newest(path: string): number {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
