/** What was read again and is as it was keeps its identity: by that, everything that follows knows that nothing is to be done. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import { HostReader } from '../../../controller/host/host-reader.ts';
import { defaultConfig } from '../../../policies/config.ts';

const run: Run = async () => ({ stdout: '[]', stderr: '', exitCode: 0 });

test('a policy file that says the same is the same, and one that came, changed or went is another', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-read-again-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'containers'));
  const file = join(folder, 'containers', 'web.yaml');
  const reader = new HostReader({ config: { ...defaultConfig, lxcPaths: [] }, policyFolder: folder, run });
  await reader.readPolicies();
  const loaded = async () => {
    await reader.readPolicies([file, join(folder, 'containers', 'web.yml')]);
    return reader.inputs().loaded;
  };
  const steps = [undefined, '{}\n', 'egress: { default: allow }\n', '\u0000', undefined];
  let before = await loaded();
  for (const text of steps.slice(1)) {
    if (text === undefined) await rm(file);
    else await writeFile(file, text);
    const after = await loaded();
    expect(after).not.toBe(before);
    if (text !== undefined) await writeFile(file, text);
    expect(await loaded()).toBe(after);
    before = after;
  }
});
