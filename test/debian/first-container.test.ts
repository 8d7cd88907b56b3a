/** docs/first-container.md, block by block, on a real Debian host. Each test goes on where the one before ended. */
import { copyFile, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer } from '../../sandbox/debian-container.ts';
import { createDebianHost, type DebianHost, SHARED } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { runForResult } from '../../sandbox/run.ts';
import { listen } from '../../sandbox/services.ts';
import { RELEASES } from './lxc-host.ts';
import { packageFile } from './package.ts';
import { abridge, normalise, parsePage } from './page.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const page = await readFile(join(root, 'docs/first-container.md'), 'utf8');
const steps = parsePage(page);
/** Under the page's version, whichever the present one is. */
const [shownPackage = ''] = /routewall_[\d.]+_all[.]deb/.exec(page) ?? [];

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;

  beforeAll(async () => {
    host = await createDebianHost({ release });
    await host.boot();
    // Its root folder; the page has its configuration.
    await createDebianContainer(host, { name: 'tinderbox', config: [] });
    // So that a refusal is the policy's and not a closed port's.
    await listen(host.outside, { protocol: 'tcp', port: 22 });
  });
  afterAll(cleanUp);

  let failed: string | undefined;
  beforeEach(() => {
    if (failed !== undefined) throw new Error(`not tried, since this failed before: ${failed}`);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') failed ??= task.name;
  });

  /** In root's home, with what a terminal would show of it. */
  async function say(command: string): Promise<string> {
    if (command === 'npm run package') return await build();
    const shell = ['DEBIAN_FRONTEND=noninteractive', 'bash', '-c', `cd /root && exec 2>&1 && ${command}`];
    return (await host.system.runForResult('env', shell, { timeout: 120_000 })).stdout;
  }

  /** On this machine, and takes the package to the host. */
  async function build(): Promise<string> {
    const { stdout } = await runForResult('npm', ['--prefix', root, 'run', 'package'], { timeout: 120_000 });
    const made = await packageFile();
    await copyFile(made, join(host.shared, basename(made)));
    await host.system.run('cp', [`${SHARED}/${basename(made)}`, `/root/${shownPackage}`]);
    return stdout;
  }

  test.each(steps)('$kind $name', async ({ kind, name, text }) => {
    if (kind === 'file') return await host.write(name, text);
    const shown = normalise(text);
    let said = '';
    const isAsShown = async (): Promise<boolean> => {
      said = abridge(normalise(await say(name)), shown);
      return said === shown;
    };
    // The daemon follows what happens by itself: what only reads is asked until it has.
    if (name.startsWith('routewall ')) await eventually(name, isAsShown, 10_000).catch(() => undefined);
    else await isAsShown();
    expect(said).toBe(shown);
  });
});
