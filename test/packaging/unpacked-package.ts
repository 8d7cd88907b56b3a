/** The Debian package, built for the tests of one file and unpacked. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

export const root = new URL('../..', import.meta.url).pathname;
export const packageFile = `routewall_${packageJson.version}_all.deb`;

export const buildInto = (out: string, umask: string): Promise<unknown> =>
  execa('sh', ['-c', `umask ${umask}; exec node scripts/package.mjs --out "$1"`, 'sh', out], {
    cwd: root,
    env: { SOURCE_DATE_EPOCH: '1767225600' },
  });

export interface UnpackedPackage {
  /** For scratch files too; it holds the package itself. */
  readonly folder: string;
  /** Where a file of the package lies. */
  inTree(path: string): string;
}

/** Builds it before the tests of the file that calls this, and takes it away behind them. */
export function unpackedPackage(): UnpackedPackage {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'routewall-package-test-'));
    await buildInto(folder, '022');
    await execa('dpkg-deb', ['--raw-extract', join(folder, packageFile), join(folder, 'tree')]);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    get folder() {
      return folder;
    },
    inTree: (path) => join(folder, 'tree', path),
  };
}
