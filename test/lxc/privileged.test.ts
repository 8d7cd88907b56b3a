/** What docs/security.md doesn't promise: a root that is the host's keeps to its own network only without net_admin. */
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** This machine's programs, under the container's own users and capabilities. */
const PROGRAMS = { usr: 'usr', 'usr/lib': 'lib', 'usr/lib64': 'lib64' };
const LINES = [
  ...Object.entries(PROGRAMS).map(([from, to]) => `lxc.mount.entry = /${from} ${to} none ro,bind 0 0`),
  'lxc.mount.entry = tmpfs run tmpfs rw 0 0',
  // Settings that LXC can't make without the capability.
  'lxc.sysctl.net.ipv4.icmp_ratelimit =',
  'lxc.sysctl.net.ipv6.icmp.ratelimit =',
];

test.each([
  ['that keeps net_admin puts an interface of its own on the uplink', [], /^ended 0$/m],
  ['that drops net_admin does not', ['lxc.cap.drop = net_admin'], /not permitted/],
  [
    'with users of its own does not, whatever it keeps',
    ['lxc.idmap = u 0 100000 65536', 'lxc.idmap = g 0 100000 65536'],
    /not permitted/,
  ],
] as const)('a root %s', async (_, lines, expected) => {
  const { bed, start, ...routewall } = await startRoutewall();
  const uplink = /^(\d+):/.exec((await bed.host.run('ip', ['-o', 'link', 'show', 'eth0'])).stdout)?.[1];
  const mallory = await routewall.addContainer('mallory', {
    lines: [...nic(addressesOf(66)), ...LINES, ...lines],
    policy: '{}\n',
    // Looking at the links gives the host's network a number.
    command: `/usr/bin/ip link >/dev/null; /usr/bin/ip link add link if${uplink} link-netnsid 0 name m0 type macvlan; echo "ended $?"`,
  });
  for (const folder of Object.values(PROGRAMS)) await mkdir(join(mallory.rootfs, folder));
  // Mapped users have to find their root folder.
  for (let folder = mallory.rootfs; folder.length > '/tmp'.length; folder = dirname(folder)) await chmod(folder, 0o755);
  await start(mallory);
  const said = await eventually('it tried', async () => {
    const { stdout } = await mallory.exec('/bin/cat', ['/run/boot.log']);
    return /^ended/m.test(stdout) && stdout;
  });
  expect(said).toMatch(expected);
});
