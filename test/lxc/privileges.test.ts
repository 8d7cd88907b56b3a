/** The daemon needs each of the capabilities that its unit leaves it, and no other. */
import { readFileSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { RunResult } from '../../sandbox/run.ts';
import { nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const UNIT = readFileSync('packaging/root/usr/lib/systemd/system/routewall.service', 'utf8');
const GRANTED = (/^CapabilityBoundingSet=(.*)$/m.exec(UNIT)?.[1] ?? '')
  .split(' ')
  .map((name) => name.replace(/^CAP_/, '').toLowerCase());
const ON_LINK = ['192.0.2.50', '2001:db8:0:1::50'];

/** Reconciles once with these capabilities and no others. */
async function once(rw: Routewall, capabilities: readonly string[]): Promise<RunResult> {
  const bounds = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const limits = ['--no-new-privs', '--inh-caps=-all', `--bounding-set=${bounds}`];
  return await rw.bed.host.runForResult('setpriv', [...limits, ...rw.command(['daemon', '--once'])], { env: rw.env });
}

/** Runs, without a daemon and without anything of ours in the kernel. */
async function openArena(): Promise<Routewall> {
  const rw = await startRoutewall({ policies: { 'containers/web.yaml': OPEN } });
  const web = await rw.addContainer('web', { lines: nic(ON_LINK) });
  await rw.start(web);
  const proxies = async (): Promise<string> =>
    (await rw.bed.host.run('sh', ['-c', 'ip -4 neigh show proxy; ip -6 neigh show proxy'])).stdout;
  await eventually('the neighbours were asked, and all proxies are set', async () => {
    const text = await proxies();
    return ON_LINK.every((address) => text.includes(address));
  });
  await rw.daemon.stop();
  return rw;
}

const clear = async ({ bed: { host } }: Routewall): Promise<void> => {
  for (const family of ['inet', 'arp']) await host.run('nft', ['delete', 'table', family, 'routewall']);
  await host.run('ip', ['route', 'flush', 'proto', '119']);
  for (const address of ON_LINK) await host.run('ip', ['neigh', 'del', 'proxy', address, 'dev', 'eth0']);
};

const routes = async ({ bed: { host } }: Routewall): Promise<string> =>
  (await host.run('ip', ['route', 'show', 'proto', '119'])).stdout.trim();

describe('the daemon', () => {
  test('does all with what its unit leaves it', async () => {
    expect(GRANTED).toHaveLength(4);
    const rw = await openArena();
    await clear(rw);
    const capture = await startCapture(rw.bed.outside, { device: 'eth0', filter: 'arp', direction: 'in' });
    const { exitCode, stdout, stderr } = await once(rw, GRANTED);
    expect([exitCode, `${stdout}${stderr}`.match(/error: .*/g)]).toEqual([0, null]);
    expect(await routes(rw)).toContain('192.0.2.50');
    await expect.poll(() => capture.lines().join('\n'), { timeout: 5_000 }).toContain('192.0.2.50 is-at');
    await capture.stop();
  });

  test('finds the hardware address of a container on a bridge with what its unit leaves it', async () => {
    const rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      prepare: ({ host }) => createBridge(host),
    });
    const web = await rw.addContainer('web', { policy: OPEN, lines: bridgedNic(['198.51.100.150']) });
    await rw.daemon.stop();
    await web.start();
    const { exitCode, stdout, stderr } = await once(rw, GRANTED);
    expect([exitCode, `${stdout}${stderr}`.match(/(?:error|warning): .*/g)]).toEqual([0, null]);
    const { stdout: macs } = await rw.bed.host.run('nft', ['list', 'set', 'bridge', 'routewall', 'port_mac']);
    expect(macs).toContain(`"${await web.hostVeth()}" . `);
  });

  test.each([
    ['net_admin', /Operation not permitted|not permitted/i],
    ['sys_admin', /unshare/],
    ['net_raw', /announc|packet|socket/i],
    ['dac_read_search', /ready: 0 interfaces enforced/],
  ])('without %s it cannot do what that one is for', async (missing, words) => {
    expect(GRANTED).toContain(missing);
    const rw = await openArena();
    if (missing === 'net_raw') await clear(rw);
    if (missing === 'dac_read_search') {
      await chown(`${rw.lxcPaths[0]}/web`, 100_000, 100_000);
      await chmod(`${rw.lxcPaths[0]}/web`, 0o700);
      expect(await once(rw, GRANTED)).toMatchObject({ exitCode: 0 });
    }
    if (missing === 'sys_admin') expect(await once(rw, GRANTED)).toMatchObject({ exitCode: 0 });
    const { stdout, stderr } = await once(
      rw,
      GRANTED.filter((name) => name !== missing),
    );
    expect(`${stdout}${stderr}`).toMatch(words);
  });
});
