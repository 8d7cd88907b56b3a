/** The unit's sandbox, who may do what, the interface on the system bus, and the hook, on real Debian hosts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { METHODS, PROPERTIES, SIGNALS } from '../../controller/dbus/interface.ts';
import { type LogEvent, MESSAGE_IDS } from '../../controller/log-event.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import type { DebianHost } from '../../sandbox/debian-host.ts';
import type { RunResult } from '../../sandbox/run.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import {
  addContainer,
  bootServingHost,
  expectActive,
  mainPid,
  RELEASES,
  readHostState,
  writePolicy,
} from './lxc-host.ts';

const BUS = ['org.routewall.Controller1', '/org/routewall/Controller1'] as const;
const POLICY = 'ingress:\n  rules:\n    - allow: tcp/80\n      from: any\n';
const NOBODY = ['--reuid=nobody', '--regid=nogroup', '--clear-groups'];
const READER = ['--reuid=nobody', '--regid=nogroup', '--groups=routewall'];

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  let web: DebianContainer;

  beforeAll(async () => {
    host = await bootServingHost(release);
    web = await addContainer(host, 'web', {
      last: 10,
      policy: POLICY,
      extra: ['script.up = /usr/lib/routewall/hook', 'script.down = /usr/lib/routewall/hook'],
    });
  });
  afterAll(cleanUp);

  const as = (user: readonly string[], ...command: string[]): Promise<RunResult> =>
    host.system.runForResult('setpriv', [...user, '--', ...command]);
  const call = (method: string, ...args: string[]): string[] => ['busctl', 'call', ...BUS, BUS[0], method, ...args];

  test.each([
    ['routewall.service', 2.5],
    ['routewall-guard.service', 2],
  ])('%s is exposed at %d or less', async (unit, most) => {
    const { stdout } = await host.system.run('systemd-analyze', ['security', '--no-pager', unit]);
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
    console.log(`${release}: ${unit}: exposure ${level}`);
    expect(level).toBeLessThanOrEqual(most);
  });

  test('systemctl status names what each of its processes is for', async () => {
    const { stdout } = await host.system.run('systemctl', ['status', '--no-pager', '--full', 'routewall.service']);
    for (const what of [
      'keeps a second daemon from starting',
      'starts commands',
      'watches connections',
      'looks for changes',
      'tells /run/systemd',
      'watches neighbour proxies',
    ])
      expect(stdout).toContain(`routewall: ${what}`);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThan(300);
  });

  test('what it could do harm with is out of its reach: secrets of the host, and a way past its filters', async () => {
    const pid = String(await mainPid(host));
    const secret = ['head', '-c', '1', '/etc/shadow'];
    expect((await host.system.run('nsenter', ['-t', pid, '-m', '--', ...secret])).stdout).toBe('');
    expect((await as([], ...secret)).stdout).not.toBe('');
    // Node has one wherever it may.
    const rings = async (of: string): Promise<boolean> =>
      (await host.system.runForResult('sh', ['-c', `readlink /proc/${of}/fd/*`])).stdout.includes('io_uring');
    expect(await rings(pid)).toBe(false);
    const unbound = host.system.spawn('node', ['-e', 'setInterval(() => console.log("up", process.pid), 100)']);
    await unbound.waitForLine(/^up/);
    const [, own = ''] = unbound.lines[0]?.split(' ') ?? [];
    if (release === 'trixie') expect(await rings(own)).toBe(true);
    await unbound.stop('SIGKILL');
  });

  test("a second daemon is refused, and another program's abstract name is none of it", async () => {
    // By Node 18 each such name is the same.
    const listens = "require('net').createServer().listen('\\0other', () => console.log('listens'))";
    const other = host.system.spawn('node', ['-e', listens]);
    await other.waitForLine(/^listens$/);
    await host.system.run('systemctl', ['restart', 'routewall.service']);
    await expectActive(host, 'routewall.service');
    const { exitCode, stderr } = await as([], 'routewall', 'daemon', '--once');
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('another routewall daemon serves this network')]);
    expect(stderr).toContain(`as process ${await mainPid(host)}`);
    await other.stop('SIGKILL');
  });

  test('busctl and gdbus both read the interface', async () => {
    const busctl = await host.system.run('busctl', ['introspect', '--no-pager', ...BUS]);
    const gdbus = await host.system.run('gdbus', ['introspect', '--system', '-d', BUS[0], '-o', BUS[1]]);
    for (const name of [...Object.keys(METHODS), ...Object.keys(SIGNALS), ...Object.keys(PROPERTIES)]) {
      expect(busctl.stdout).toContain(`.${name} `);
      expect(gdbus.stdout).toMatch(new RegExp(`\\b${name}\\b`));
    }
  });

  test('the hook admits a container before its init runs', async () => {
    await web.start();
    // Nothing is waited for: who runs is served.
    const { stdout } = await host.system.run('nft', ['list', 'map', 'inet', 'routewall', 'to_container']);
    expect(stdout).toContain(`"${await web.hostVeth()}"`);
    await listen(await web.inside(), { protocol: 'tcp', port: 80 });
    const target = { protocol: 'tcp', to: '198.51.100.10', port: 80, timeout: 2_000 } as const;
    expect(await probe(host.outside, target)).toBe('allowed');
    await web.stop();
    expect((await host.system.run('ip', ['route', 'show', 'proto', '119'])).stdout).toBe('');
  });

  test('the hook refuses a container with a broken policy, and LXC says why', async () => {
    await addContainer(host, 'broken', {
      last: 11,
      policy: POLICY.replace('tcp/80', 'tcp/eighty'),
      extra: ['script.up = /usr/lib/routewall/hook'],
    }).then((broken) => expect(broken.start()).rejects.toThrow(/broken[.]yaml:3:/));
    await host.system.run('rm', ['/etc/routewall/containers/broken.yaml']);
    const place = { ROUTEWALL_POLICY_FILE: 'containers/broken.yaml', ROUTEWALL_POLICY_LINE: '3' };
    await expectEntries('broken', [entry('problem', 3, place), entry('refused', 4), entry('solved', 6, place)]);
  });

  test('the hook refuses every container while the daemon is stopped, and LXC says why', async () => {
    await host.system.run('systemctl', ['stop', 'routewall.service']);
    await expect(web.start()).rejects.toThrow(/web: the routewall daemon does not run/);
    await host.system.run('systemctl', ['start', 'routewall.service']);
    await web.start();
  });

  test('an unprivileged user can change nothing', async () => {
    const before = await readHostState(host);
    const pid = String(await mainPid(host));
    const attempts: readonly (readonly [string, ...string[]])[] = [
      ['nft', 'delete', 'table', 'inet', 'routewall'],
      ['ip', 'route', 'flush', 'proto', '119'],
      ['kill', '-9', pid],
      ['systemctl', '--no-ask-password', 'stop', 'routewall.service'],
      ['sh', '-c', 'echo > /etc/routewall/containers/web.yaml'],
      ['sh', '-c', 'echo > /run/routewall/status.json'],
      ['sh', '-c', 'ls /var/lib/routewall'],
      ['routewall', 'daemon', '--once'],
      ['busctl', 'call', ...BUS, BUS[0], 'Admit', 'ssu', 'web', '', '0'],
      ['busctl', 'call', ...BUS, BUS[0], 'Release', 'ss', 'web', await web.hostVeth()],
      ['busctl', 'call', ...BUS, BUS[0], 'Apply', 'u', '0'],
      ['busctl', 'call', ...BUS, BUS[0], 'Confirm'],
      ['busctl', 'call', ...BUS, BUS[0], 'Rollback', 'u', '0'],
      ['busctl', 'call', ...BUS, BUS[0], 'Panic', 'bas', 'true', '0'],
      ['routewall', 'apply'],
      ['routewall', 'panic', 'on'],
    ];
    for (const command of attempts) {
      for (const user of [NOBODY, READER]) {
        const { exitCode } = await as(user, ...command);
        expect([command, exitCode === 0]).toEqual([command, false]);
      }
    }
    expect(await readHostState(host)).toBe(before);
    expect(await mainPid(host)).toBe(Number(pid));
    await expectActive(host, 'routewall.service');
  });

  test('members of the group may read over the bus, also by the command line, others not', async () => {
    expect(await as(READER, ...call('Status'))).toMatchObject({ exitCode: 0 });
    for (const words of [
      ['list'],
      ['check'],
      ['preview'],
      ['explain', '--from', 'host', '--to', 'container:web', 'tcp/80'],
    ])
      expect(await as(READER, 'routewall', ...words)).toEqual(await host.system.runForResult('routewall', words));
    expect(await as(NOBODY, 'routewall', 'preview')).not.toMatchObject({ exitCode: 0 });
    expect(await as(NOBODY, ...call('Status'))).not.toMatchObject({ exitCode: 0 });
    await writePolicy(host, 'web', POLICY);
  });

  test('goes on while the bus is away, and is on it again', async () => {
    const pid = await mainPid(host);
    await listen(await web.inside(), { protocol: 'tcp', port: 80 }, { protocol: 'tcp', port: 81 });
    // Without its socket nobody's call starts it again.
    await host.system.run('systemctl', ['stop', 'dbus.socket']);
    await host.system.runForResult('systemctl', ['kill', '--signal=KILL', 'dbus.service']);
    expect(await as([], ...call('Status'))).not.toMatchObject({ exitCode: 0 });
    const target = (port: number) => ({ protocol: 'tcp', to: '198.51.100.10', port, timeout: 1_000 }) as const;
    await writePolicy(host, 'web', POLICY.replace('tcp/80', '[tcp/80, tcp/81]'));
    await expect.poll(() => probe(host.outside, target(81)), { timeout: 20_000 }).toBe('allowed');
    expect(await probe(host.outside, target(80))).toBe('allowed');
    await writePolicy(host, 'web', POLICY);
    await host.system.run('systemctl', ['start', 'dbus.socket', 'dbus.service']);
    await expect
      .poll(async () => (await as([], ...call('Status'))).exitCode, {
        timeout: 20_000,
      })
      .toBe(0);
    expect(await mainPid(host)).toBe(pid);
  });

  test('a daemon that hangs is replaced, and the rules stay', async () => {
    await host.write('/run/systemd/system/routewall.service.d/soon.conf', '[Service]\nWatchdogSec=3\n');
    await host.system.run('systemctl', ['daemon-reload']);
    await host.system.run('systemctl', ['restart', 'routewall.service']);
    const pid = await mainPid(host);
    await host.system.run('kill', ['-STOP', String(pid)]);
    await expect.poll(() => mainPid(host), { timeout: 30_000 }).not.toBe(pid);
    await expect.poll(() => expectActive(host, 'routewall.service'), { timeout: 30_000 }).toBe(undefined);
    await host.system.run('rm', ['/run/systemd/system/routewall.service.d/soon.conf']);
    await host.system.run('systemctl', ['daemon-reload']);
    await host.system.run('systemctl', ['restart', 'routewall.service']);
    const target = { protocol: 'tcp', to: '198.51.100.10', port: 80, timeout: 2_000 } as const;
    expect(await probe(host.outside, target)).toBe('allowed');
  });

  test('a daemon without a descriptor left starts what it lost once it has one', async () => {
    const pid = String(await mainPid(host));
    const limit = (files: number) => host.system.run('prlimit', ['--pid', pid, `--nofile=${files}:`]);
    const told = async (): Promise<string> =>
      (await host.system.run('journalctl', ['-u', 'routewall.service', `_PID=${pid}`, '--no-pager', '-o', 'cat']))
        .stdout;
    await limit(10);
    await host.system.run('pkill', ['-P', pid, '-f', '^ip .*monitor ']);
    await expect.poll(told, { timeout: 20_000 }).toMatch(/could not be started: too many open files/);
    await limit(1_024);
    const isWatched = async (): Promise<string> => (await host.system.runForResult('pgrep', ['-P', pid, '-a'])).stdout;
    await expect.poll(isWatched, { timeout: 30_000 }).toMatch(/ ip .*monitor /);
    expect(await mainPid(host)).toBe(Number(pid));
  });

  test('the journal finds what is about one container, by what happened and where', async () => {
    const veth = await web.hostVeth();
    const flow = await openFlow(host.outside, { protocol: 'tcp', to: '198.51.100.10', port: 80 });
    await host.system.run('sysctl', ['-q', '-w', `net/ipv4/conf/${veth}/forwarding=0`]);
    expect(await flow.beat(2_000)).toBe('alive');
    await writePolicy(host, 'web', POLICY.replace('tcp/80', 'tcp/81'));
    const where = { ROUTEWALL_INTERFACE: expect.stringMatching(/^veth/) };
    await expectEntries('web', [
      entry('enforced', 6, { ...where, MESSAGE: expect.stringMatching(/^web eth0 via veth.*: enforced in /) }),
      ...[entry('admitted', 6), entry('removed', 6, where), entry('cut', 6)],
      entry('repaired', 4, { ROUTEWALL_INTERFACE: veth }),
    ]);
    await flow.release();
  });

  const entry = (event: LogEvent, priority: number, more: Readonly<Record<string, unknown>> = {}): unknown =>
    expect.objectContaining({
      ...{ ROUTEWALL_EVENT: event, MESSAGE_ID: MESSAGE_IDS[event], PRIORITY: String(priority) },
      ...{ SYSLOG_IDENTIFIER: 'routewall', _SYSTEMD_UNIT: 'routewall.service', ...more },
    });

  async function expectEntries(container: string, entries: readonly unknown[]): Promise<void> {
    const read = async (): Promise<unknown[]> => {
      const words = ['-u', 'routewall.service', `ROUTEWALL_CONTAINER=${container}`, '--no-pager', '-o', 'json'];
      const { stdout } = await host.system.runForResult('journalctl', words);
      return stdout.split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
    };
    await expect.poll(read, { timeout: 10_000 }).toEqual(expect.arrayContaining([...entries]));
  }
});
