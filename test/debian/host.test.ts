/** The Debian hosts that the other tests here stand on, and the program on their own versions of Node. */
import { existsSync } from 'node:fs';
import { copyFile, cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer } from '../../sandbox/debian-container.ts';
import { createDebianHost, type DebianHost, SHARED } from '../../sandbox/debian-host.ts';
import { PROGRAM } from '../../sandbox/routewall.ts';
import { listen, probe } from '../../sandbox/services.ts';

describe.each([
  { release: 'bookworm', node: 'v18.', nft: 'v1.0.', lxc: '5.' },
  { release: 'trixie', node: 'v20.', nft: 'v1.1.', lxc: '6.' },
] as const)('Debian $release', ({ release, node, nft, lxc }) => {
  let host: DebianHost;
  beforeAll(async () => {
    host = await createDebianHost({ release });
    await host.powerOn();
  });
  afterAll(cleanUp);

  const say = async (command: string, ...args: string[]): Promise<string> =>
    (await host.system.run(command, args)).stdout;

  test('boots with nothing failed, and has its own programs', async () => {
    expect(await host.waitForBoot()).toBe('running');
    expect(await say('node', '--version')).toContain(node);
    expect(await say('nft', '--version')).toContain(nft);
    expect(await say('lxc-start', '--version')).toMatch(new RegExp(`^${lxc}`));
    await host.system.run('nft', ['add table inet t; add chain inet t c { type filter hook forward priority 0; }']);
    expect(await say('nft', 'list', 'ruleset')).toContain('hook forward');
  });

  test('reaches its outside in both families, and is reached', async () => {
    const network = await host.network();
    const port = { protocol: 'tcp', port: 80 } as const;
    await Promise.all([listen(host.outside, port), listen(network, port)]);
    for (const to of ['192.0.2.2', '203.0.113.80', '2001:db8:ffff::80']) {
      expect(await probe(network, { ...port, to, timeout: 3_000 })).toBe('allowed');
    }
    for (const to of ['192.0.2.1', '2001:db8:0:1::1']) {
      expect(await probe(host.outside, { ...port, to, timeout: 3_000 })).toBe('allowed');
    }
  });

  test('runs containers, by command and by unit', async () => {
    const config = ['lxc.net.0.type = veth', 'lxc.net.0.flags = up', 'lxc.net.0.ipv4.address = 198.51.100.10/32'];
    const web = await createDebianContainer(host, { name: 'web', config });
    await web.start();
    expect((await (await web.inside()).run('ip', ['-o', 'address'])).stdout).toContain('198.51.100.10/32');
    expect(await say('ip', '-o', 'link')).toContain(`${await web.hostVeth()}@`);
    await web.stop();
    await web.start('lxc@.service');
    await web.stop('lxc@.service');
  });

  test('runs the program on its own Node', async () => {
    await copyFile(PROGRAM, join(host.shared, 'routewall.mjs'));
    await cp(join(dirname(PROGRAM), 'parts'), join(host.shared, 'parts'), { recursive: true });
    await host.write('/etc/routewall/routewall.yaml', 'uplinks: [eth0]\n');
    await host.write('/etc/routewall/containers/web.yaml', 'ingress:\n  rules:\n    - allow: http\n      from: any\n');
    const program = `${SHARED}/routewall.mjs`;
    expect(await say('node', program, '--version')).toMatch(/\d+[.]\d+[.]\d+/);
    await host.system.run('node', [program, 'check']);
    await host.write('/etc/routewall/containers/web.yaml', 'ingress:\n  rules:\n    - allow: htp\n      from: any\n');
    expect(await host.system.runForResult('node', [program, 'check'])).toMatchObject({ exitCode: 1 });
  });

  test('keeps its files over a reboot', async () => {
    await host.write('/root/kept', 'here\n');
    await host.reboot();
    expect(await say('cat', '/root/kept')).toBe('here');
  });

  test('leaves no cgroup', async () => {
    const cgroup = `/sys/fs/cgroup/unified/${host.name}`;
    const before = existsSync(cgroup);
    await host.destroy();
    expect([before, existsSync(cgroup)]).toEqual([existsSync('/sys/fs/cgroup/unified'), false]);
  });
});
