/** Before tests that install the Debian package: makes it from the present sources. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** vitest calls it once per project. */
export async function setup(): Promise<void> {
  await execa(process.execPath, ['scripts/package.mjs'], { cwd: root });
}
