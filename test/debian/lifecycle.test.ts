/** The package on a real Debian host, from `apt install` to purge. Each test goes on where the one before ended. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import { type DebianHost, OUTSIDE_BRIDGE } from '../../sandbox/debian-host.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { inOrder } from './in-order.ts';
import {
  addContainer,
  aMoment,
  bootForeignHost,
  expectActive,
  mainPid,
  RELEASES,
  readHostState,
  waitUntilInForce,
  writePolicy,
} from './lxc-host.ts';
import { aptInstall, packageFile, repack } from './package.ts';
import { startConnections, startFlood, startPings } from './traffic.ts';

const WEB = `ingress:
  rules:
    - allow: [tcp/80, icmp/echo-request]
      from: any
egress:
  rules:
    - allow: tcp/443
      to: internet
`;
const tcp = (port: number) => ({ protocol: 'tcp', port }) as const;
const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'] as const;
const FORBIDDEN = 9999;

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  let before: string;
  let web: DebianContainer;
  let unit: DebianContainer;
  let auto: DebianContainer;

  beforeAll(async () => {
    host = await bootForeignHost(release);
    before = await readHostState(host);
    await listen(host.outside, tcp(80), tcp(443), { protocol: 'udp', port: FORBIDDEN });
  });
  afterAll(cleanUp);

  inOrder();

  const fromOutside = (last: number, port: number, family: 4 | 6 = 4) =>
    probe(host.outside, {
      ...tcp(port),
      to: family === 4 ? `198.51.100.${last}` : `2001:db8:100::${last}`,
      timeout: 1_200,
    });

  /** Does it while allowed flows run through web and a forbidden flood comes out of it; neither may notice. */
  async function unnoticed(action: () => Promise<void>): Promise<void> {
    const inside = await web.inside();
    const flow = await openFlow(host.outside, { ...tcp(80), to: '198.51.100.10' });
    const capture = await startCapture(host.outside, { device: OUTSIDE_BRIDGE, filter: `udp port ${FORBIDDEN}` });
    const pings = [await startPings(host.outside, '198.51.100.10'), await startPings(host.outside, '2001:db8:100::10')];
    const connections = [
      startConnections(host.outside, { ...tcp(80), to: '198.51.100.10' }),
      startConnections(inside, { ...tcp(443), to: INTERNET[0] }),
    ];
    const stopFlood = await startFlood(inside, FORBIDDEN, INTERNET);
    await action();
    await aMoment();
    await stopFlood();
    const steady = await Promise.all([...pings, ...connections].map(({ stop }) => stop()));
    expect(steady.map(({ lost }) => lost)).toEqual([[], [], [], []]);
    expect(Math.min(...steady.map(({ answered }) => answered))).toBeGreaterThan(10);
    expect(await flow.beat(2_000)).toBe('alive');
    await flow.release();
    expect(await capture.stop()).toEqual({ lines: [], received: 0 });
    await inside.close();
  }

  test('is installed by apt, and serves at once', async () => {
    const { stdout } = await aptInstall(host, await packageFile());
    console.log(
      stdout
        .split('\n')
        .filter((line) => line.startsWith('routewall:'))
        .join('\n'),
    );
    await expectActive(host, 'routewall-guard.service');
    await expectActive(host, 'routewall.service');
    await host.system.run('systemctl', ['enable', '--now', 'routewall.service']);
    const enabled = await host.system.run('systemctl', ['is-enabled', 'routewall', 'routewall-guard']);
    expect(enabled.stdout).toBe('enabled\nenabled');
    await host.system.run('routewall', ['check']);
    expect(await host.waitForBoot()).toBe('running');
  });

  test('lets a container that lxc-start starts have what its policy allows, and nothing else', async () => {
    web = await addContainer(host, 'web', { last: 10, policy: WEB });
    await host.system.run('routewall', ['check']);
    await web.start('lxc-start');
    const inside = await web.inside();
    await listen(inside, tcp(22), tcp(80), tcp(8080));
    await waitUntilInForce(host);
    expect(await Promise.all([fromOutside(10, 80), fromOutside(10, 80, 6)])).toEqual(['allowed', 'allowed']);
    expect(await Promise.all([fromOutside(10, 22), fromOutside(10, 8080, 6)])).toEqual(['dropped', 'dropped']);
    for (const to of INTERNET) {
      expect(await probe(inside, { ...tcp(443), to, timeout: 2_000 })).toBe('allowed');
      expect(await probe(inside, { ...tcp(80), to })).toBe('dropped');
    }
  });

  test('serves containers that lxc@.service and lxc-autostart start', async () => {
    unit = await addContainer(host, 'unit', { last: 11, policy: WEB });
    auto = await addContainer(host, 'auto', { last: 12, policy: WEB, lines: ['lxc.start.auto = 1'] });
    await unit.start('lxc@.service');
    await host.system.run('lxc-autostart', []);
    await auto.waitFor('RUNNING');
    await waitUntilInForce(host);
    for (const [container, last] of [
      [unit, 11],
      [auto, 12],
    ] as const) {
      await listen(await container.inside(), tcp(22), tcp(80));
      expect(await Promise.all([fromOutside(last, 80), fromOutside(last, 80, 6)])).toEqual(['allowed', 'allowed']);
      expect(await Promise.all([fromOutside(last, 22), fromOutside(last, 22, 6)])).toEqual(['dropped', 'dropped']);
    }
  });

  test('gives a container without a policy nothing', async () => {
    const stray = await addContainer(host, 'stray', { last: 13 });
    await stray.start();
    await listen(await stray.inside(), tcp(80));
    await waitUntilInForce(host);
    expect(await fromOutside(13, 80)).toBe('dropped');
    expect(await probe(await stray.inside(), { ...tcp(443), to: INTERNET[0] })).toBe('dropped');
    await stray.stop();
  });

  test('applies an edited policy', async () => {
    await writePolicy(host, 'web', WEB.replace('tcp/80,', 'tcp/80, tcp/8080,'));
    await eventually('the new port opens', async () => (await fromOutside(10, 8080)) === 'allowed');
    expect(await fromOutside(10, 22)).toBe('dropped');
    await waitUntilInForce(host);
  });

  test('keeps the last good policy when an edit is broken, and says where', async () => {
    await writePolicy(host, 'web', WEB.replace('tcp/80,', 'tcp/eighty,'));
    await eventually('the problem is told', async () => {
      const { stdout } = await host.system.runForResult('routewall', ['status', '-n', 'web']);
      return stdout.includes('web.yaml:3:');
    });
    expect(await Promise.all([fromOutside(10, 80), fromOutside(10, 8080)])).toEqual(['allowed', 'allowed']);
    expect(await Promise.all([fromOutside(10, 22), fromOutside(11, 80)])).toEqual(['dropped', 'allowed']);
    expect(await host.system.runForResult('routewall', ['check'])).toMatchObject({ exitCode: 1 });
    await writePolicy(host, 'web', WEB);
    await eventually('the port closes again', async () => (await fromOutside(10, 8080)) === 'dropped');
    await waitUntilInForce(host);
  });

  test('neither loses nor leaks a packet when the daemon is killed', async () => {
    const killed = await mainPid(host);
    await unnoticed(async () => {
      await host.system.run('kill', ['-9', String(killed)]);
      await eventually(
        'another daemon serves',
        async () => {
          const { stdout } = await host.system.runForResult('systemctl', ['is-active', 'routewall.service']);
          return stdout === 'active' && ![0, killed].includes(await mainPid(host));
        },
        20_000,
      );
    });
    await waitUntilInForce(host);
  });

  test('neither loses nor leaks a packet when it is restarted', async () => {
    await unnoticed(async () => void (await host.system.run('systemctl', ['restart', 'routewall.service'])));
    await waitUntilInForce(host);
  });

  test('neither loses nor leaks a packet in an upgrade', async () => {
    const newer = await repack(await packageFile(), '99.0.0');
    const old = await mainPid(host);
    await unnoticed(async () => void (await aptInstall(host, newer)));
    expect((await host.system.run('dpkg', ['-s', 'routewall'])).stdout).toMatch(/^Version: 99[.]0[.]0$/m);
    await expectActive(host, 'routewall.service');
    expect(await mainPid(host)).not.toBe(old);
    await waitUntilInForce(host);
  });

  test('serves what autostarts after a reboot, and the foreign rules are back', async () => {
    await host.reboot();
    await expectActive(host, 'routewall.service');
    await auto.waitFor('RUNNING');
    await waitUntilInForce(host);
    await listen(await auto.inside(), tcp(22), tcp(80));
    expect(await Promise.all([fromOutside(12, 80), fromOutside(12, 80, 6)])).toEqual(['allowed', 'allowed']);
    expect(await Promise.all([fromOutside(12, 22), fromOutside(12, 22, 6)])).toEqual(['dropped', 'dropped']);
    expect((await host.system.run('nft', ['list', 'tables'])).stdout).toContain('somebody_else');
  });

  test('leaves, when removed, running containers as they are and new ones shut', async () => {
    const config = '/var/lib/lxc/unit/config';
    await host.system.run('sh', ['-c', `echo 'lxc.net.0.script.up = /usr/lib/routewall/hook' >>${config}`]);
    const words = ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'remove', '-y', 'routewall'];
    const { stdout } = await host.system.run('env', words);
    expect(stdout).toContain('calls the hook, which is gone now');
    expect(stdout.match(/[/]\S*config/g)).toEqual([config]);
    expect(await Promise.all([fromOutside(12, 80), fromOutside(12, 22)])).toEqual(['allowed', 'dropped']);
    await web.start();
    await listen(await web.inside(), tcp(80));
    await aMoment();
    expect(await fromOutside(10, 80)).not.toBe('allowed');
    expect(await probe(await web.inside(), { ...tcp(443), to: INTERNET[0] })).not.toBe('allowed');
    await web.stop();
  });

  test('leaves nothing when purged, and what is not its own as it was', async () => {
    await auto.stop();
    await host.system.run('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'purge', '-y', 'routewall']);
    const leftovers = await readLeftovers(host.system);
    expect(leftovers.filter((line) => !/192[.]0[.]2[.]77|2001:db8:0:1::77/.test(line))).toEqual([]);
    expect(await readHostState(host)).toBe(before);
    const places = ['/etc', '/run', '/usr', '/var/lib'];
    const files = await host.system.run('find', [...places, '-xdev', '-name', '*routewall*']);
    expect(files.stdout.split('\n').filter((line) => !/^[/]var[/]lib[/]dpkg|^$/.test(line))).toEqual([]);
    const units = await host.system.runForResult('systemctl', ['list-unit-files', '*routewall*', '--no-legend']);
    expect(units.stdout).toBe('');
  });
});
