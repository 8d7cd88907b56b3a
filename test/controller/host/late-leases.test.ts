/** What DHCP leases, and who runs on a bridge, is looked at beside passes: whatever differs from what is known is told, and only that. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { BridgedReader } from '../../../controller/bridged/bridged-reader.ts';
import type { Run } from '../../../controller/commands/run.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { HostReader } from '../../../controller/host/host-reader.ts';
import { defaultConfig } from '../../../policies/config.ts';
import { parseInterfaceName } from '../../../render/names.ts';
import { bridgedNic } from '../../../sandbox/bridge.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../../watchers/lxc-config/real-files.ts';
import { certain } from '../states.ts';

const MAC = '02:16:3e:00:00:01';
const run: Run = async () => ({ stdout: '[]', stderr: '', exitCode: 0 });
const turn = async (): Promise<void> => undefined;

let folder: string;
let leases: string;
const onLateLeases = vi.fn();

const lease = (address: string, expires: number): string =>
  `${Math.ceil(expires / 1000)} ${MAC} ${address} web 01:${MAC}\n`;

async function readAll(lines: readonly string[]): Promise<HostReader> {
  const lxcPath = join(folder, 'lxc');
  for (const path of [join(lxcPath, 'web'), join(folder, 'policies', 'containers')])
    await mkdir(path, { recursive: true });
  await writeFile(join(lxcPath, 'web', 'config'), `${lines.join('\n')}\n`);
  const config = { ...defaultConfig, lxcPaths: [lxcPath], leases: join(folder, 'BRIDGE.leases') };
  const reader = new HostReader({ config, policyFolder: join(folder, 'policies'), run, onLateLeases });
  await reader.readAll();
  reader.inputs();
  return reader;
}

async function tells(reader: HostReader): Promise<boolean> {
  onLateLeases.mockClear();
  expect(await reader.isAsRead(turn)).toBe(true);
  return onLateLeases.mock.calls.length > 0;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-late-leases-'));
  leases = join(folder, 'br0.leases');
  onTestFinished(() => rm(folder, { recursive: true }));
});

test('a lease that came, changed or went is told until it is read', async () => {
  const reader = await readAll(bridgedNic([], { hwaddr: MAC }));
  expect(await tells(reader)).toBe(false);
  const later = Date.now() + 3_600_000;
  for (const text of [
    lease('198.51.100.200', later),
    lease('198.51.100.201', later),
    lease('198.51.100.201', later + 9_000),
    '',
  ]) {
    await writeFile(leases, text);
    expect(await tells(reader), text).toBe(true);
    await reader.readLeases();
    expect(await tells(reader), text).toBe(false);
  }
});

test('a file of leases that can no longer be read, and one that can be again, is told', async () => {
  const reader = await readAll(bridgedNic([], { hwaddr: MAC }));
  for (const change of [() => mkdir(leases), () => rm(leases, { recursive: true })]) {
    await change();
    expect(await tells(reader)).toBe(true);
    await reader.readLeases();
    expect(await tells(reader)).toBe(false);
  }
});

test('a lease that ended is told until what was made of it is made anew', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const ends = Date.now() + 60_000;
  await writeFile(leases, lease('198.51.100.200', ends));
  const reader = await readAll(bridgedNic([], { hwaddr: MAC }));
  expect(await tells(reader)).toBe(false);
  vi.setSystemTime(ends + 1_000);
  expect(await tells(reader)).toBe(true);
  await reader.readLeases();
  reader.inputs();
  expect(await tells(reader)).toBe(false);
});

test('no lease matters where none on the bridge is without an address', async () => {
  const reader = await readAll(bridgedNic(['198.51.100.150'], { hwaddr: MAC }));
  await writeFile(leases, lease('198.51.100.200', Date.now() + 60_000));
  expect(await tells(reader)).toBe(false);
});

test('a hardware address is wanted of who runs and has none by configuration, and of nobody else', async () => {
  const file = join(folder, 'config');
  const containerWith = async (hwaddr?: string) => {
    await writeFile(
      file,
      `${bridgedNic(['198.51.100.150'], { ...(hwaddr !== undefined && { hwaddr }) }).join('\n')}\n`,
    );
    return describeContainer(folder, 'web', parseLxcConfig(file, realFiles));
  };
  const reader = new BridgedReader({ run, leases: '' });
  const free = await containerWith();
  const [{ key }] = [certain(free.endpoints[0])];
  const running = { state: 'RUNNING', veths: new Map([[key, certain(parseInterfaceName('lo'))]]) };
  expect(reader.hasMacs(free, { ...running, veths: new Map() })).toBe(true);
  expect(reader.hasMacs(await containerWith(MAC), running)).toBe(true);
  expect(reader.hasMacs(free, running)).toBe(false);
});
