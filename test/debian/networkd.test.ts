/** A host whose uplink systemd-networkd sets up, as on images for the cloud: it takes away rules, routes and settings that aren't its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic } from '../lxc/routewall.ts';
import { aMoment, expectActive, RELEASES, waitUntilInForce, writePolicy } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';
import { startPings } from './traffic.ts';

const FILE = '/etc/systemd/network/10-wan.network';
const NETWORK = `[Match]
Name=eth0
[Network]
Address=192.0.2.1/24
Address=2001:db8:0:1::1/64
Gateway=192.0.2.2
Gateway=2001:db8:0:1::2
IPv6AcceptRA=no
`;
const FILES = {
  'etc/network/interfaces': 'auto lo\niface lo inet loopback\n',
  [FILE.slice(1)]: NETWORK,
  // As udev, which isn't in here, would tell networkd that the link is ready.
  'etc/tmpfiles.d/udev.conf': 'f /run/udev/data/n2 0644 root root - I:1\\nG:systemd\\nQ:systemd\\nV:1\\n\n',
};

const HTTP = { protocol: 'tcp', port: 80 } as const;
const POLICY = 'ingress:\n  rules:\n    - allow: [tcp/80, icmp/echo-request]\n      from: any\n';
const CONTAINERS = [
  { name: 'own', addresses: addressesOf(10), policy: `uplink: eth0\n${POLICY}` },
  // Of the uplink's network: the host answers its neighbours' questions.
  { name: 'near', addresses: ['192.0.2.50', '2001:db8:0:1::50'], policy: POLICY },
] as const;

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;

  beforeAll(async () => {
    host = await bootDebianHost({ release, files: FILES });
    await host.system.run('systemctl', ['enable', '--now', 'systemd-networkd.service']);
    await eventually('networkd has set the uplink up', async () =>
      (await host.system.run('networkctl', ['status', 'eth0'])).stdout.includes('(configured)'),
    );
    await aptInstall(host, await packageFile());
    await expectActive(host, 'routewall.service');
    for (const { name, addresses, policy } of CONTAINERS) {
      await writePolicy(host, name, policy);
      const container = await createDebianContainer(host, { name, config: nic(addresses) });
      await container.start();
      await listen(await container.inside(), HTTP);
    }
    await waitUntilInForce(host);
  });
  afterAll(cleanUp);

  /** How many rules were put back so far. */
  const repaired = async (): Promise<number> =>
    (await host.system.run('journalctl', ['-u', 'routewall.service', '-o', 'cat'])).stdout
      .split('\n')
      .filter((line) => /^repaired: -[46] rule /.test(line)).length;

  test.each([
    { what: 'its restart', command: ['systemctl', 'restart', 'systemd-networkd.service'] },
    { what: 'a new set-up of the link', command: ['networkctl', 'reconfigure', 'eth0'], repairs: true },
    {
      what: 'an edit that forbids what is needed',
      command: ['networkctl', 'reload'],
      file: `${NETWORK}IPForward=no\nIPv6ProxyNDP=no\n`,
      repairs: true,
    },
  ])('$what takes no container its network', async ({ command: [program = '', ...words], file, repairs }) => {
    if (file !== undefined) await host.write(FILE, file);
    const before = await repaired();
    const targets = CONTAINERS.flatMap(({ addresses }) => [...addresses]);
    const pings = await Promise.all(targets.map((to) => startPings(host.outside, to)));
    await host.system.run(program, words);
    await aMoment();
    await waitUntilInForce(host);
    await aMoment();
    for (const ping of pings) {
      const { answered, lost } = await ping.stop();
      expect(answered).toBeGreaterThan(lost.length);
    }
    // Neighbours ask anew.
    await host.outside.run('ip', ['neigh', 'flush', 'all']);
    const isReached = async (to: string): Promise<boolean> =>
      (await probe(host.outside, { ...HTTP, to, timeout: 2_000 })) === 'allowed';
    // It answers before it is done.
    for (const to of targets) await eventually(`${to} is reached`, () => isReached(to));
    if (repairs === true) await eventually('something was put back', async () => (await repaired()) > before);
  });

  test('what docs/uplinks.md says has it leave them alone', async () => {
    const keep = '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n';
    await host.write('/etc/systemd/networkd.conf.d/keep.conf', keep);
    await host.write(FILE, NETWORK);
    await host.system.run('systemctl', ['restart', 'systemd-networkd.service']);
    await aMoment();
    await waitUntilInForce(host);
    const before = await repaired();
    await host.system.run('networkctl', ['reconfigure', 'eth0']);
    await aMoment();
    // Where it takes the address away for a moment, the kernel itself drops the way out.
    await waitUntilInForce(host);
    await aMoment();
    expect(await repaired()).toBe(before);
  });
});
