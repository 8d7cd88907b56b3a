/** Who reads once takes shortcuts, and comes to what a daemon's reading comes to; and believes nothing if it reads again. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import { HostReader } from '../../../controller/host/host-reader.ts';
import { defaultConfig } from '../../../policies/config.ts';

const run: Run = async () => ({ stdout: '', stderr: '', exitCode: 0 });

/** `lo` exists wherever this runs, and is nobody's veth. */
const NIC = 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 198.51.100.1/32\n';
const FILES: Readonly<Record<string, string>> = {
  'common.conf': 'lxc.group = all\n',
  'lxc/web/config': `${NIC}lxc.net.0.veth.pair = lo\nlxc.include = COMMON\n`,
  'lxc/copy/config': `${NIC}lxc.net.0.veth.pair = vone\n`,
  'lxc/copied/config': `${NIC}lxc.net.0.veth.pair = vone\nlxc.include = COMMON\n`,
  'lxc/broken/config': 'lxc.net.0.type\nlxc.include = /nowhere/at/all\n',
  'lxc/none/other': '',
  'policies/containers/web.yaml': 'egress: { default: allow }\n',
  'policies/containers/copy.yaml': 'egress: [\n',
  'policies/containers/copy.yml': '{}\n',
  'policies/profiles/base.yaml': 'egress: { default: allow }\n',
  'policies/sets/some.txt': '192.0.2.0/24\n',
};

test('it is the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-read-once-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text.replace('COMMON', join(folder, 'common.conf')));
  };
  for (const [path, text] of Object.entries(FILES)) await put(path, text);
  await symlink(join(folder, 'lxc', 'web'), join(folder, 'lxc', 'linked'));
  await symlink('/nowhere', join(folder, 'policies', 'containers', 'linked.yaml'));
  const config = { ...defaultConfig, lxcPaths: [join(folder, 'lxc')] };
  const read = async (isOnce: boolean): Promise<HostReader> => {
    const reader = new HostReader({ config, policyFolder: join(folder, 'policies'), run, isOnce });
    await reader.readAll();
    return reader;
  };
  const told = (reader: HostReader): unknown => {
    const { containers, veths, links, loaded } = reader.inputs();
    const texts = [...reader.files].map(([path, content]) => [path, String(content)]);
    const policies = [...loaded.containers].map(([name, { policy, problems }]) => [name, policy, problems]);
    return {
      known: [...reader.known.values()],
      texts,
      policies,
      containers,
      veths,
      links,
      following: reader.following,
    };
  };
  const [kept, once] = [await read(false), await read(true)];
  expect(kept.known.size).toBe(5);
  expect(told(once)).toEqual(told(kept));
  expect(once.watched).toBeUndefined();

  await put('common.conf', 'lxc.group = few\n');
  await put('policies/containers/web.yaml', 'egress: { default: drop }\n');
  await once.readAll();
  expect(told(once)).toEqual(told(await read(false)));
});
