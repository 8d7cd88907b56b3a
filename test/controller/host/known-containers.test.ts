/** What runs is listed by what was found to run, whatever configurations come and go. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { KnownContainers } from '../../../controller/host/known-containers.ts';
import { defaultConfig } from '../../../policies/config.ts';
import { parseInterfaceName } from '../../../render/names.ts';

test('who has which veth stays the same map while configurations come, change and go', async () => {
  const lxcPath = await mkdtemp(join(tmpdir(), 'routewall-known-'));
  onTestFinished(() => rm(lxcPath, { recursive: true }));
  const containers = new KnownContainers({ ...defaultConfig, lxcPaths: [lxcPath] });
  const write = async (name: string, address: string) => {
    await mkdir(join(lxcPath, name), { recursive: true });
    const lines = ['type = veth', 'veth.mode = router', `ipv4.address = ${address}/32`];
    await writeFile(join(lxcPath, name, 'config'), lines.map((line) => `lxc.net.0.${line}\n`).join(''));
    return containers.readConfig({ lxcPath, name }) ?? expect.unreachable();
  };
  const veth = parseInterfaceName('veth1') ?? expect.unreachable();
  const running = { state: 'RUNNING', veths: new Map([[join(lxcPath, 'web', '0'), veth]]) };
  containers.setRuntime(await write('web', '192.0.2.7'), running);
  const { veths } = containers;
  expect([...veths.values()]).toEqual([veth]);
  await write('db', '192.0.2.8');
  await write('web', '192.0.2.9');
  expect(containers.sorted.map(({ name }) => name)).toEqual(['db', 'web']);
  await rm(join(lxcPath, 'db'), { recursive: true });
  expect(containers.readConfig({ lxcPath, name: 'db' })).toBeUndefined();
  // What runs goes on without a configuration.
  await rm(join(lxcPath, 'web'), { recursive: true });
  expect(containers.readConfig({ lxcPath, name: 'web' })?.container.name).toBe('web');
  expect(containers.veths).toBe(veths);
});
