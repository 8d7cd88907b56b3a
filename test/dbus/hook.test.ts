/** LXC's hook with real containers: nobody starts whose rules aren't in force, and LXC's log says why. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { startBus, type TestBus } from './system-bus.ts';

let bus: TestBus;
let routewall: Routewall;
let hook: string;

beforeAll(async () => {
  bus = await startBus();
  routewall = await startRoutewall({ env: bus.env, prepare: async ({ host }) => createBridge(host) });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  hook = routewall.hook;
});
afterAll(cleanUp);

const hooks = (index = 0): string[] => ['up', 'down'].map((type) => `lxc.net.${index}.script.${type} = ${hook}`);

/** LXC's own log since it began, at the level that it has without any option. */
const errorsOf = async ({ lxcPath, name }: Container): Promise<string> =>
  (await readFile(`${lxcPath}/${name}/lxc.log`, 'utf8'))
    .split('\n')
    .filter((line) => / ERROR /.test(line))
    .join('\n');

/**
 * Of init, some allowed and one not. An answer can be lost in the kernel that gives it: its ICMP of all network namespaces goes
 * through one socket for each processor, which other tests may have filled with what waits for a neighbour. Questions are not.
 */
const FIRST_PACKETS = `for n in 1 2 3 4 5 6; do ping -c 1 -W 1 203.0.113.80 && break; done
  ping -c 1 -W 1 192.0.2.2`;

/** `sent`: how many of the allowed ones init has sent. */
const pingsIn = (log: string) => ({
  sent: log.match(/^PING 203\.0\.113\.80 /gm)?.length ?? 0,
  answered: /203\.0\.113\.80 ping statistics ---\s+1 packets transmitted, 1 packets received/.test(log),
  answeredOther: !/192\.0\.2\.2 ping statistics ---\s+1 packets transmitted, 0 packets received/.test(log),
});

const linesAbout = (name: string): string[] => routewall.daemon.log().filter((line) => line.includes(` ${name} `));

describe('a container with the hook', () => {
  test.each([0, 1])('is admitted before its init runs, with hook version %i', async (version) => {
    const name = `first${version}`;
    const address = `198.51.100.${10 + version}`;
    const capture = await startCapture(routewall.bed.outside, { device: 'eth0', filter: `icmp and src ${address}` });
    const container = await routewall.addContainer(name, {
      policy: 'egress: { rules: [{ allow: icmp/echo-request, to: 203.0.113.80 }] }\n',
      lines: [`lxc.hook.version = ${version}`, ...nic([address]), ...hooks()],
      command: FIRST_PACKETS,
    });
    await container.start();
    // In force when lxc-start returned, without waiting for the daemon's word.
    expect(linesAbout(name).join('\n')).toMatch(/enforced in/);
    await routewall.bed.host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from']);
    const ended = await waitForBoot(container, /192\.0\.2\.2 ping statistics[\s\S]*packet loss/);
    const { lines } = await capture.stop();
    const said = [...linesAbout(name), ...lines].join('\n');
    const { sent, ...answers } = pingsIn(ended);
    expect(answers, said).toEqual({ answered: true, answeredOther: false });
    // Each of them, so that the first was admitted.
    expect(
      lines.filter((line) => line.includes('> 203.0.113.80')),
      said,
    ).toHaveLength(sent);
    expect(lines.filter((line) => line.includes('> 192.0.2.2'))).toEqual([]);
    await container.stop();
    expect(linesAbout(name).at(-1)).toMatch(/removed in/);
  });

  test('with several interfaces is admitted one by one, and each gets its own addresses', async () => {
    const lines = [...nic(['198.51.100.20']), ...nic(['198.51.100.21'], { index: 1 }), ...hooks(), ...hooks(1)];
    const container = await routewall.addContainer('two', { policy: OPEN, lines });
    await container.start();
    expect(linesAbout('two')).toEqual([
      expect.stringMatching(/two eth0 via veth\w+ \(198\.51\.100\.20\/32\): enforced/),
      expect.stringMatching(/two eth1 via veth\w+ \(198\.51\.100\.21\/32\): enforced/),
    ]);
    const { stdout } = await routewall.bed.host.run('ip', ['-j', 'route', 'show', 'proto', '119']);
    expect(stdout).toContain(`"dst":"198.51.100.20","dev":"${await container.hostVeth()}"`);
    await container.stop();
  });

  test('may have it as start-host, for all interfaces at once', async () => {
    const lines = [...nic(['198.51.100.30']), ...nic(['198.51.100.31'], { index: 1 }), `lxc.hook.start-host = ${hook}`];
    const container = await routewall.addContainer('whole', { policy: OPEN, lines });
    await container.start();
    expect(linesAbout('whole')).toHaveLength(2);
    await routewall.stop(container);
  });

  test('may map its users to others', async () => {
    const lines = [
      ...nic(['198.51.100.35']),
      ...hooks(),
      'lxc.idmap = u 0 100000 65536',
      'lxc.idmap = g 0 100000 65536',
    ];
    const container = await routewall.addContainer('mapped', { policy: OPEN, lines });
    await routewall.bed.host.run('chown', ['-R', '100000:100000', container.rootfs]);
    // Another user than root has to reach it.
    await chmod(container.lxcPath, 0o755);
    await container.start();
    expect(linesAbout('mapped')).toEqual([expect.stringMatching(/enforced in/)]);
    await container.stop();
  });

  test('that bears the name of a fixed veth is admitted by it', async () => {
    const lines = [...nic(['198.51.100.36'], { extra: ['veth.pair = rw-fixed'] }), ...hooks()];
    const container = await routewall.addContainer('fixed', { policy: OPEN, lines });
    await container.start();
    expect(linesAbout('fixed')).toEqual([expect.stringContaining('fixed eth0 via rw-fixed (198.51.100.36/32)')]);
    await container.stop();
  });

  test.each([
    ['port1', 'has one', 'lxc.net.0.hwaddr = 02:16:3e:00:00:09', 'up'],
    ['port2', 'has a template of one', 'lxc.net.0.hwaddr = 02:16:3e:xx:xx:xx', 'up'],
    ['port3', 'has none', '', 'up'],
    ['port4', 'has none', '', 'start-host'],
  ])(
    '%s on a bridge is served by the hardware address that its link has, where its configuration %s',
    async (name, _, line, type) => {
      const lines = [
        ...bridgedNic(['198.51.100.150']),
        line,
        type === 'up' ? `lxc.net.0.script.up = ${hook}` : `lxc.hook.start-host = ${hook}`,
      ];
      const container = await routewall.addContainer(name, { policy: OPEN, lines });
      // Twice: one that isn't fixed is another then.
      for (let start = 0; start < 2; start += 1) {
        const after = routewall.mark();
        await container.start();
        // What a hook for the whole container tells is enough; else LXC is asked once it runs.
        if (type === 'up') await routewall.enforced(name, { after });
        else expect(linesAbout(name).at(-1)).toMatch(/enforced in/);
        const inside = await container.inside();
        const mac = /link\/ether (\S+)/.exec((await inside.run('ip', ['link', 'show', 'eth0'])).stdout)?.[1];
        const { stdout } = await routewall.bed.host.run('nft', ['list', 'set', 'bridge', 'routewall', 'port_mac']);
        expect(stdout).toContain(`"${await container.hostVeth()}" . ${mac}`);
        // The bridge's carrier came with its first port, and the kernel may open its queue a second later: what it sends until
        // then is lost.
        await inside.run('ping', ['-c', '1', '-i', '0.2', '-w', '10', '198.51.100.129']);
        await routewall.stop(container);
      }
      await container.destroy();
    },
  );

  test('may have odd letters in its name, which LXC itself can bear with hook version 1', async () => {
    const name = `-a 'b" $(c)`;
    const container = await routewall.addContainer(name, {
      policy: OPEN,
      lines: ['lxc.hook.version = 1', ...nic(['198.51.100.37']), ...hooks()],
    });
    await container.start();
    expect(routewall.daemon.log().some((line) => line.includes(`${name} eth0 via`) && line.includes('enforced'))).toBe(
      true,
    );
    await container.stop();
  });
});

test('a container that is slow to start keeps no other waiting', async () => {
  const [wait, go] = [join(routewall.bed.lxcPath, 'wait'), join(routewall.bed.lxcPath, 'go')];
  await writeFile(wait, `#!/bin/sh\nuntil [ -e ${go} ]; do sleep 0.1; done\n`, { mode: 0o755 });
  const slow = await routewall.addContainer('slow', {
    policy: OPEN,
    lines: [...nic(['198.51.100.70']), `lxc.net.0.script.up = ${wait}`],
  });
  const quick = await routewall.addContainer('quick', { policy: OPEN, lines: [...nic(['198.51.100.71']), ...hooks()] });
  const starting = slow.start();
  await eventually('its veth is there', async () => {
    const { stdout } = await routewall.bed.host.run('ip', ['-o', 'link', 'show', 'type', 'veth']);
    return /: veth/.test(stdout);
  });
  // LXC answers no question about the slow one meanwhile.
  await quick.start();
  expect(linesAbout('quick')).toEqual([expect.stringMatching(/enforced in/)]);
  expect(linesAbout('slow')).toEqual([]);
  await writeFile(go, '');
  await starting;
  await routewall.enforced('slow');
  for (const container of [slow, quick]) await container.stop();
});

describe('the start is refused', () => {
  test('with a name that no file of policies can have', async () => {
    const words = `"$(printf 'odd\\377')" net up veth vethA`;
    const { exitCode, stderr } = await routewall.bed.host.runForResult('sh', ['-c', `${hook} ${words}`]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(/what was asked is no UTF-8/) });
  });

  test('with a broken policy, also where an earlier one was good', async () => {
    const container = await routewall.addContainer('broken', {
      policy: OPEN,
      lines: [...nic(['198.51.100.40']), ...hooks()],
    });
    await container.start();
    await container.stop();
    await routewall.writePolicy('containers/broken.yaml', 'egress:\n  defualt: allow\n');
    await expect(container.start()).rejects.toThrow('did not start');
    const place = `${routewall.policyFolder}/containers/broken.yaml:2:3`;
    expect(await errorsOf(container)).toContain(`hook - broken: ${place}: error: unknown key "defualt"`);
    await routewall.writePolicy('containers/broken.yaml', OPEN);
    await container.start();
    await container.stop();
  });

  test('with an address that another container has', async () => {
    const lines = [...nic(['198.51.100.50']), ...hooks()];
    const holder = await routewall.addContainer('holder', { policy: OPEN, lines });
    await holder.start();
    const second = await routewall.addContainer('second', { policy: OPEN, lines });
    await expect(second.start()).rejects.toThrow('did not start');
    expect(await errorsOf(second)).toMatch(/hook - second: .*198\.51\.100\.50.*holder/);
    await holder.stop();
  });

  test('with a route that the kernel refuses, until it takes it', async () => {
    const lines = [...nic(['198.51.100.55', '2001:db8:100::55']), ...hooks()];
    const container = await routewall.addContainer('unrouted', { policy: OPEN, lines });
    const setIpv6 = (off: number) => routewall.bed.host.run('sysctl', [`net/ipv6/conf/default/disable_ipv6=${off}`]);
    await setIpv6(1);
    await expect(container.start()).rejects.toThrow('did not start');
    expect(await errorsOf(container)).toMatch(/hook - unrouted: ip .* dev veth\w+.*: .*(IPv6|ermission)/);
    await setIpv6(0);
    await container.start();
    await container.stop();
  });

  test('while the daemon is stopped, and not while its bus is', async () => {
    const container = await routewall.addContainer('alone', {
      policy: OPEN,
      lines: [...nic(['198.51.100.60']), ...hooks()],
    });
    await routewall.daemon.stop();
    await expect(container.start()).rejects.toThrow('did not start');
    const reason = 'hook - alone: the routewall daemon does not run: systemctl start routewall';
    expect(await errorsOf(container)).toContain(reason);
    await routewall.daemon.restart();
    await container.start();
    await container.stop();
    await bus.stop();
    await container.start();
    await container.stop();
    await bus.start();
  });
});

describe('a configuration that was written for lxc-routednet', () => {
  const IN_PREFIX = ['192.0.2.70', '2001:db8:0:1::70'];
  const ROUTED = ['198.51.100.70', '2001:db8:100::70'];

  test('has the same routes, proxies, gateways and announcements once its script is ours, and its rules too', async () => {
    const script = join(await makeFolder(), 'lxc-routednet');
    await writeFile(script, `#!/bin/sh\n${hook} "$@"\n`, { mode: 0o755 });
    const { host, outside } = routewall.bed;
    const ip = async (...words: string[]): Promise<string> => (await host.run('ip', words)).stdout;
    const heard = await startCapture(outside, { device: 'eth0', filter: 'arp or icmp6' });
    const container = await routewall.addContainer('moved', {
      policy: 'egress: { rules: [{ allow: icmp/echo-request, to: 203.0.113.80 }] }\n',
      lines: [
        ...nic([...IN_PREFIX, ...ROUTED]),
        ...['up', 'down'].map((type) => `lxc.net.0.script.${type} = ${script}`),
      ],
      command: FIRST_PACKETS,
    });
    await container.start();
    const veth = await container.hostVeth();
    const routes = `${await ip('-4', 'route', 'show', 'dev', veth)}\n${await ip('-6', 'route', 'show', 'dev', veth)}`;
    for (const address of [...IN_PREFIX, ...ROUTED]) expect(routes).toMatch(new RegExp(`^${address} `, 'm'));
    const proxies = await eventually('the neighbours were asked, and both proxies are set', async () => {
      const text = await ip('neigh', 'show', 'proxy', 'dev', 'eth0');
      return IN_PREFIX.every((address) => text.includes(address)) && text;
    });
    for (const address of ROUTED) expect(proxies).not.toContain(address);
    expect((await host.run('sysctl', ['-n', 'net/ipv6/conf/all/proxy_ndp'])).stdout.trim()).toBe('1');
    const said = () => heard.lines().join('\n');
    await eventually(
      'it is announced',
      () => /Reply 192\.0\.2\.70 is-at/.test(said()) && /tgt is 2001:db8:0:1::70/.test(said()),
    );
    // By the gateway, of which the host has no address elsewhere; and what no policy allows stays inside.
    const ended = await waitForBoot(container, /192\.0\.2\.2 ping statistics[\s\S]*packet loss/);
    expect(pingsIn(ended)).toMatchObject({ answered: true, answeredOther: false });
    await container.stop();
    expect(await ip('neigh', 'show', 'proxy', 'dev', 'eth0')).toBe('');
    expect(await ip('route', 'show', 'proto', '119')).toBe('');
    await heard.stop();
  });
});

async function waitForBoot(container: Container, pattern: RegExp): Promise<string> {
  return await eventually(
    'init has done its work',
    async () => {
      const { stdout } = await container.exec('/bin/busybox', ['cat', '/run/boot.log']);
      return pattern.test(stdout) ? stdout : undefined;
    },
    20_000,
  );
}
