/** What comes out of an autostarted container that floods from its first instruction, at each kind of boot. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Capture, startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import { createDebianHost, type DebianHost, OUTSIDE_BRIDGE } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addContainer, aMoment, expectActive, RELEASES, waitUntilInForce, writePolicy } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';

const FAMILIES = [4, 6] as const;
const INTERNET = { 4: '203.0.113.80', 6: '2001:db8:ffff::80' } as const;
const [ALLOWED, FORBIDDEN] = [9998, 9999];

/** Four floods, each a process of its own that begins anew whenever it is refused; 50 datagrams a second. */
const FLOODS = FAMILIES.flatMap((family) =>
  [ALLOWED, FORBIDDEN].map(
    (port) => `
  while :; do
    while echo flood; do busybox sleep 0.02; done | busybox nc -u ${INTERNET[family]} ${port}
    busybox sleep 0.02
  done &`,
  ),
).join('\n');

const POLICY = `egress:
  rules:
    - allow: udp/${ALLOWED}
      to: internet
`;

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  let flooder: DebianContainer;

  beforeAll(async () => {
    host = await createDebianHost({
      release,
      up: ['sysctl -q -w net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1'],
    });
    await host.boot();
    // LXC's own router mode makes routes and answers for the gateways: nothing but rules can hold this container back.
    flooder = await addContainer(host, 'flooder', {
      last: 66,
      extra: ['veth.mode = router', 'link = eth0'],
      lines: ['lxc.start.auto = 1'],
      command: FLOODS,
    });
  });
  afterAll(cleanUp);

  let failed: string | undefined;
  beforeEach(() => {
    if (failed !== undefined) throw new Error(`not tried, since this failed before: ${failed}`);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') failed ??= task.name;
  });

  /** A boot from the last moment of the one before, and a while of it; what of the container came out. */
  async function captureBoot(): Promise<Capture> {
    const capture = await startCapture(host.outside, {
      device: OUTSIDE_BRIDGE,
      filter: 'src host 198.51.100.66 or src host 2001:db8:100::66',
      direction: 'in',
    });
    await host.beginReboot();
    await host.waitForBoot();
    await flooder.waitFor('RUNNING');
    const veth = await flooder.hostVeth();
    await eventually(
      'the container has sent a hundred packets',
      async () => Number((await host.system.run('cat', [`/sys/class/net/${veth}/statistics/rx_packets`])).stdout) > 100,
      20_000,
    );
    await aMoment();
    return capture;
  }

  const countOf = (lines: readonly string[], port: number, family: 4 | 6): number =>
    lines.filter((line) => line.includes(family === 4 ? ' IP ' : ' IP6 ') && line.includes(`.${port}: UDP`)).length;

  test('without routewall all of it comes out', async () => {
    const capture = await captureBoot();
    const { lines } = await capture.stop();
    for (const family of FAMILIES) {
      for (const port of [ALLOWED, FORBIDDEN]) expect(countOf(lines, port, family)).toBeGreaterThan(10);
    }
  });

  test('with the daemon masked nothing of it comes out', async () => {
    await writePolicy(host, 'flooder', POLICY);
    await aptInstall(host, await packageFile());
    await host.system.run('systemctl', ['mask', '--now', 'routewall.service']);
    const capture = await captureBoot();
    await expectActive(host, 'routewall-guard.service');
    expect(await capture.stop()).toEqual({ lines: [], received: 0 });
  });

  test('with the daemon exactly what its policy allows comes out', async () => {
    await host.system.run('systemctl', ['unmask', 'routewall.service']);
    await host.system.run('systemctl', ['enable', 'routewall.service']);
    const capture = await captureBoot();
    await expectActive(host, 'routewall.service');
    await waitUntilInForce(host);
    await eventually(
      'what is allowed comes out',
      () => FAMILIES.every((family) => countOf(capture.lines(), ALLOWED, family) > 10),
      10_000,
    );
    const { lines } = await capture.stop();
    expect(lines.filter((line) => !line.includes(`.${ALLOWED}: UDP`))).toEqual([]);
  });

  test('with the daemon masked again nothing but what its last policy allows comes out', async () => {
    await host.system.run('systemctl', ['mask', 'routewall.service']);
    const capture = await captureBoot();
    await expectActive(host, 'routewall-guard.service');
    const { lines } = await capture.stop();
    expect(lines.filter((line) => !line.includes(`.${ALLOWED}: UDP`))).toEqual([]);
  });
});
