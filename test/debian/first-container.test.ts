/** docs/first-container.md, block by block, on a real Debian host. Each test goes on where the one before ended. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { runForResult } from '../../sandbox/run.ts';
import { listen } from '../../sandbox/services.ts';
import { inOrder } from './in-order.ts';
import { RELEASES } from './lxc-host.ts';
import { packageFile } from './package.ts';
import { parsePage } from './page.ts';
import { bringPackage, followStep, sayOn } from './page-on-host.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const page = await readFile(join(root, 'docs/first-container.md'), 'utf8');

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;

  beforeAll(async () => {
    host = await bootDebianHost({ release });
    // Its root folder; the page has its configuration.
    await createDebianContainer(host, { name: 'tinderbox', config: [] });
    // So that a refusal is the policy's and not a closed port's.
    await listen(host.outside, { protocol: 'tcp', port: 22 });
  });
  afterAll(cleanUp);

  inOrder();

  const say = (command: string): Promise<string> => (command === 'npm run package' ? build() : sayOn(host)(command));

  /** On this machine, and takes the package to the host. */
  async function build(): Promise<string> {
    const { stdout } = await runForResult('npm', ['--prefix', root, 'run', 'package'], { timeout: 120_000 });
    await bringPackage(host, page, await packageFile());
    return stdout;
  }

  test.each(parsePage(page))('$kind $name', async (step) => await followStep(step, host, say));
});
