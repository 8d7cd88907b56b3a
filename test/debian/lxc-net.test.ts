/** Debian's own network for containers as it comes with LXC: lxc-net's bridge, its DHCP server, and its rules beside ours. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UDHCPC } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer, type DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { expectActive, RELEASES, waitUntilInForce, writePolicy } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';

const FILES = {
  'etc/default/lxc-net': 'USE_LXC_BRIDGE="true"\n',
  // Else it doesn't start where the host is a container itself.
  'etc/systemd/system/lxc-net.service.d/here.conf': '[Unit]\nConditionVirtualization=\n',
};
const POLICY =
  'egress: { rules: [{ allow: tcp/80, to: internet }] }\ningress: { rules: [{ allow: tcp/80, from: any }] }\n';
const NAMES = ['one', 'two'] as const;
const INTERNET = '203.0.113.80';

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  const containers = new Map<string, DebianContainer>();

  beforeAll(async () => {
    host = await bootDebianHost({ release, files: FILES });
    await expectActive(host, 'lxc-net.service');
    await aptInstall(host, await packageFile());
    await expectActive(host, 'routewall.service');
    await listen(host.outside, { protocol: 'tcp', port: 80 }, { protocol: 'tcp', port: 81 });
    // As lxc-create takes them over, with a hardware address.
    const { stdout } = await host.system.run('grep', ['^lxc.net', '/etc/lxc/default.conf']);
    for (const [index, name] of NAMES.entries()) {
      const lines = [...stdout.split('\n'), 'lxc.net.0.name = eth0', `lxc.net.0.hwaddr = 00:16:3e:00:00:0${index + 1}`];
      await writePolicy(host, name, POLICY);
      const config = [...lines, 'lxc.start.auto = 1'];
      const container = await createDebianContainer(host, { name, config, command: UDHCPC });
      containers.set(name, container);
      await container.start();
      // Before it leases an address dnsmasq asks whether somebody has it, and nobody else gets an answer meanwhile.
      await addressOf(name);
    }
    await serve();
  });
  afterAll(cleanUp);

  const inside = async (name: (typeof NAMES)[number]) => await (containers.get(name) ?? expect.unreachable()).inside();
  const addressOf = async (name: (typeof NAMES)[number]): Promise<string> =>
    await eventually(`${name} has a lease`, async () => {
      const { stdout } = await (await inside(name)).run('ip', ['-4', '-o', 'address', 'show', 'dev', 'eth0']);
      return / (10\.0\.3\.\d+)\//.exec(stdout)?.[1];
    });
  const serve = async (): Promise<void> => await listen(await inside('two'), { protocol: 'tcp', port: 80 });
  const isServed = async (): Promise<void> => {
    const [from, two] = [await inside('one'), await addressOf('two')];
    const tcp = { protocol: 'tcp', timeout: 2_000 } as const;
    await eventually('it gets out', async () => (await probe(from, { ...tcp, to: INTERNET, port: 80 })) === 'allowed');
    await waitUntilInForce(host);
    expect({
      denied: await probe(from, { ...tcp, to: INTERNET, port: 81 }),
      neighbour: await probe(from, { ...tcp, to: two, port: 80 }),
      'by the host': await probe(await host.network(), { ...tcp, to: two, port: 80 }),
    }).toEqual({ denied: 'dropped', neighbour: 'dropped', 'by the host': 'allowed' });
  };

  test('a container of its bridge gets a lease, and what its policy allows', isServed);

  test("nobody gets out by a neighbour's lease", async () => {
    const [from, stolen] = [await inside('one'), await addressOf('two')];
    await from.run('ip', ['address', 'add', `${stolen}/32`, 'dev', 'eth0']);
    const asked = { protocol: 'tcp', to: INTERNET, port: 80, source: stolen, timeout: 2_000 } as const;
    expect(await probe(from, asked)).toBe('dropped');
    await from.run('ip', ['address', 'del', `${stolen}/32`, 'dev', 'eth0']);
    expect(await probe(from, { ...asked, source: await addressOf('one') })).toBe('allowed');
  });

  test('they are served while it begins anew', async () => {
    await host.system.run('systemctl', ['restart', 'lxc-net.service']);
    await isServed();
  });

  test('and by the next boot', async () => {
    await host.reboot();
    await eventually('both run', async () => {
      const { stdout } = await host.system.runForResult('lxc-ls', ['--running']);
      return NAMES.every((name) => stdout.includes(name));
    });
    await serve();
    await isServed();
  });
});
