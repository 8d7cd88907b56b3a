/** What comes out of autostarted containers, routed and on a bridge, that flood from their first instruction, at each kind of boot. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ADDRESSES, bridgedNic } from '../../sandbox/bridge.ts';
import { type Capture, startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer, type DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost, OUTSIDE_BRIDGE } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { inOrder } from './in-order.ts';
import { addContainer, aMoment, expectActive, RELEASES, waitUntilInForce, writePolicy } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';

const ALLOWED = { 4: '203.0.113.80', 6: '2001:db8:ffff::80' } as const;
const FORBIDDEN = { 4: '192.0.2.2', 6: '2001:db8:0:1::2' } as const;

const TARGETS = [...Object.values(ALLOWED), ...Object.values(FORBIDDEN)];

/** Echo requests, 50 a second, and connections; each in a process of its own that begins anew when it is refused. */
const FLOODS = TARGETS.flatMap((to) => [`ping -i 0.02 ${to}`, `nc -w 1 ${to} 9999`])
  .map((command) => `while :; do busybox ${command}; busybox sleep 0.02; done >/dev/null 2>&1 &`)
  .join('\n');

const POLICY = `egress:
  rules:
    - allow: icmp/echo-request
      to: internet
`;

/** Echo requests to that address. */
const requestsTo = (lines: readonly string[], to: string): readonly string[] =>
  lines.filter((line) => line.includes(` > ${to}: `) && line.includes('echo request'));
const isAllowed = (line: string): boolean => Object.values(ALLOWED).some((to) => requestsTo([line], to).length > 0);

interface Flooder {
  readonly container: DebianContainer;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** The host's interface that its gateways are on; absent: its own veth. */
  readonly bridge?: string;
}

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  let flooder: DebianContainer;
  let bridged: DebianContainer;
  let flooders: readonly Flooder[];

  beforeAll(async () => {
    host = await bootDebianHost({
      release,
      up: [
        'sysctl -q -w net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1',
        `ip link add ${BRIDGE} type bridge`,
        `ip link set ${BRIDGE} up`,
        ...BRIDGE_ADDRESSES.map((address) => `ip address add ${address} dev ${BRIDGE}`),
      ],
    });
    // LXC's own router mode makes routes and answers for the gateways: nothing but rules can hold this container back.
    flooder = await addContainer(host, 'flooder', {
      last: 66,
      extra: ['veth.mode = router', 'link = eth0'],
      lines: ['lxc.start.auto = 1'],
      command: FLOODS,
    });
    const addresses = ['198.51.100.166', '2001:db8:200::166'];
    bridged = await createDebianContainer(host, {
      name: 'bridged',
      config: [...bridgedNic(addresses, { hwaddr: '02:16:3e:00:00:66' }), 'lxc.start.auto = 1'],
      command: FLOODS,
    });
    const gateways = BRIDGE_ADDRESSES.map((address) => address.replace(/\/.*/, ''));
    flooders = [
      { container: flooder, addresses: ['198.51.100.66', '2001:db8:100::66'], gateways: ['169.254.0.1', 'fe80::1'] },
      { container: bridged, addresses, gateways, bridge: BRIDGE },
    ];
  });
  afterAll(cleanUp);

  inOrder();

  /** A boot from the last moment of the one before, and a while of it; what of the containers came out. */
  async function captureBoot(): Promise<Capture> {
    const capture = await startCapture(host.outside, {
      device: OUTSIDE_BRIDGE,
      filter: flooders.flatMap(({ addresses }) => addresses.map((address) => `src host ${address}`)).join(' or '),
      direction: 'in',
    });
    await host.beginReboot();
    await host.waitForBoot();
    await Promise.all(flooders.map(proveFlood));
    await aMoment();
    return capture;
  }

  /**
   * That there was something to hold back: what the container's veth gives to the host. Where the host doesn't even tell its
   * hardware address, the container shall know it all the same.
   */
  async function proveFlood({ container, gateways, bridge }: Flooder): Promise<void> {
    await container.waitFor('RUNNING');
    const veth = await container.hostVeth();
    const { stdout: address } = await host.system.run('cat', [`/sys/class/net/${bridge ?? veth}/address`]);
    const inside = await container.inside();
    const sent = await startCapture(await host.network(), { device: veth, direction: 'in' });
    for (const gateway of gateways) {
      const words = ['neigh', 'replace', gateway, 'lladdr', address, 'dev', 'eth0', 'nud', 'permanent'];
      await inside.run('ip', words);
    }
    const hasSentAll = (): boolean => TARGETS.every((to) => requestsTo(sent.lines(), to).length > 10);
    await eventually(`${container.name} has sent all kinds of packets`, hasSentAll, 20_000);
    await sent.stop();
  }

  const removeBridged = async (): Promise<void> => {
    flooders = flooders.filter(({ container }) => container !== bridged);
    await bridged.stop();
    await host.system.run('rm', ['-r', '/var/lib/lxc/bridged']);
  };

  const whatCameFrom = (capture: Capture, { addresses }: Flooder): readonly string[] =>
    capture
      .lines()
      .filter((line) => addresses.some((address) => line.includes(` ${address} > `) || line.includes(` ${address}.`)));

  test('without routewall all of it comes out', async () => {
    const capture = await captureBoot();
    for (const flooding of flooders)
      for (const to of TARGETS) {
        const comesOut = (): boolean => {
          const lines = whatCameFrom(capture, flooding);
          const calls = lines.some((line) => line.includes(` > ${to}.9999: Flags [S]`));
          return requestsTo(lines, to).length > 10 && calls;
        };
        await eventually(`requests and connections of ${flooding.container.name} to ${to}`, comesOut, 15_000);
      }
    await capture.stop();
  });

  test('with the daemon masked nothing of it comes out', async () => {
    for (const { container } of flooders) await writePolicy(host, container.name, POLICY);
    await aptInstall(host, await packageFile());
    await host.system.run('systemctl', ['mask', '--now', 'routewall.service']);
    // What the daemon had allowed before goes on until the shutdown, and isn't what this is about.
    for (const { container } of flooders) await container.stop();
    // As on the first boot, which knows no ruleset but the static one.
    await host.system.run('rm', ['-f', '/var/lib/routewall/last-good.nft']);
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
    await eventually('what is allowed comes out', () =>
      flooders.every((flooding) =>
        Object.values(ALLOWED).every((to) => requestsTo(whatCameFrom(capture, flooding), to).length > 10),
      ),
    );
    const { lines } = await capture.stop();
    expect(lines.filter((line) => !isAllowed(line))).toEqual([]);
  });

  test('with the daemon masked again nothing but what its last policy allows comes out', async () => {
    await host.system.run('systemctl', ['mask', 'routewall.service']);
    const capture = await captureBoot();
    await expectActive(host, 'routewall-guard.service');
    const { lines } = await capture.stop();
    expect(lines.filter((line) => !isAllowed(line))).toEqual([]);
  });

  test('with iptables, masked, the same: its service ran in its sandbox, and left rules for the boot', async () => {
    // Which has no word for bridges.
    await removeBridged();
    const variant = release === 'bookworm' ? 'legacy' : 'nft';
    await host.system.run('update-alternatives', ['--set', 'iptables', `/usr/sbin/iptables-${variant}`]);
    await host.system.run('systemctl', ['unmask', 'routewall.service']);
    await host.system.run('systemctl', ['start', 'routewall.service']);
    await host.write('/etc/routewall/routewall.yaml', 'backend: iptables\n');
    // A sandbox that was closed for it stays closed: what served goes on, and says what is to be done.
    const journal = async (): Promise<string> =>
      (await host.system.run('journalctl', ['-u', 'routewall.service', '-b', '--no-pager'])).stdout;
    const isTold = async (): Promise<boolean> => (await journal()).includes('daemon-reload && systemctl restart');
    await eventually('the closed sandbox is told of', isTold, 20_000);
    await host.system.run('systemctl', ['daemon-reload']);
    await host.system.run('systemctl', ['restart', 'routewall.service']);
    await waitUntilInForce(host);
    const ours = async (): Promise<string> => {
      const [nft, xt] = [['nft', 'list', 'tables'] as const, [`iptables-${variant}`, '-S', 'FORWARD'] as const];
      const asked = [nft, xt].map(([program, ...args]) => host.system.run(program, args));
      return (await Promise.all(asked))
        .flatMap(({ stdout }) => stdout.split('\n'))
        .filter((line) => /routewall|-j RW-/.test(line))
        .join('\n');
    };
    const FORWARD = '-A FORWARD -j RW-FORWARD-FROM\n-A FORWARD -j RW-FORWARD-TO';
    expect(await ours()).toBe(FORWARD);
    const isKept = async (): Promise<boolean> =>
      (await host.system.runForResult('ls', ['/var/lib/routewall'])).stdout.includes('last-good.iptables');
    await eventually('the rules are kept for the boot', isKept, 15_000);
    // As iptables makes it: nobody else may hold it.
    if (variant === 'legacy')
      expect((await host.system.run('stat', ['-c', '%a %U', '/run/xtables.lock'])).stdout).toBe('600 root');
    await host.system.run('systemctl', ['mask', 'routewall.service']);
    const capture = await captureBoot();
    await expectActive(host, 'routewall-guard.service');
    expect(await ours()).toBe(FORWARD);
    const { lines } = await capture.stop();
    expect(lines.filter((line) => !isAllowed(line))).toEqual([]);
  });

  test('a purge takes away what is ours in iptables, and nothing else', async () => {
    const others = ['iptables-legacy', 'iptables-nft'].map((ipt) => `${ipt} -N RW-LIMIT; ${ipt} -A INPUT -j RW-LIMIT`);
    await host.system.run('sh', ['-ec', [...others, 'ipset create RW-theirs hash:ip'].join('\n')]);
    await flooder.stop();
    await host.system.run('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'purge', '-y', 'routewall']);
    const READ = `for i in iptables ip6tables; do for v in legacy nft; do $i-$v-save; done; done
      arptables-legacy -n -L; arptables-nft -n -L; ipset list -n; nft list tables; ls /run/systemd/generator`;
    const { stdout } = await host.system.run('sh', ['-c', READ]);
    const left = stdout.split('\n').filter((line) => /RW-|routewall/.test(line));
    const rules = [':RW-LIMIT - [0:0]', '-A INPUT -j RW-LIMIT'];
    expect(left).toEqual([...rules, ...rules, 'RW-theirs']);
  });
});
