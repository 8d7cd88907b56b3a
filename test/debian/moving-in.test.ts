/** docs/moving-in.md, block by block, on a host whose container and rules were there before. Each test goes on where the one before ended. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createDebianContainer, type DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { inOrder } from './in-order.ts';
import { RELEASES } from './lxc-host.ts';
import { packageFile } from './package.ts';
import { parsePage } from './page.ts';
import { bringPackage, followStep } from './page-on-host.ts';

const page = await readFile(fileURLToPath(new URL('../../docs/moving-in.md', import.meta.url)), 'utf8');

const NFTABLES_CONF = `flush ruleset
table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lxcbr0" accept
    oifname "lxcbr0" ct status dnat accept
  }
}
table ip nat {
  chain prerouting { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 10.0.3.10:80; }
  chain postrouting { type nat hook postrouting priority srcnat; ip saddr 10.0.3.0/24 oifname "eth0" masquerade; }
}
`;
const BRIDGED = [
  'lxc.net.0.type = veth',
  'lxc.net.0.link = lxcbr0',
  'lxc.net.0.flags = up',
  'lxc.net.0.name = eth0',
  'lxc.net.0.ipv4.address = 10.0.3.10/24',
  'lxc.net.0.ipv4.gateway = 10.0.3.1',
  'lxc.cap.drop = sys_module sys_rawio',
];
const tcp = (port: number, to: string) => ({ protocol: 'tcp', port, to, timeout: 2_000 }) as const;

describe.each(RELEASES)('Debian $release', ({ release }) => {
  let host: DebianHost;
  let web: DebianContainer;

  beforeAll(async () => {
    host = await bootDebianHost({
      release,
      files: { 'etc/nftables.conf': NFTABLES_CONF },
      up: ['ip link add lxcbr0 type bridge', 'ip address add 10.0.3.1/24 dev lxcbr0', 'ip link set lxcbr0 up'],
    });
    await host.system.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
    await host.system.run('systemctl', ['enable', '--now', 'nftables.service']);
    await bringPackage(host, page, await packageFile());
    web = await createDebianContainer(host, { name: 'web', config: BRIDGED });
    await web.start();
    await listen(host.outside, { protocol: 'tcp', port: 443 });
  });
  afterAll(cleanUp);

  inOrder();

  /** What was served goes on being served, by the address of this stage. */
  async function expectServed(address: string, port: number): Promise<void> {
    const inside = await web.inside();
    await listen(inside, { protocol: 'tcp', port: 80 });
    expect(await probe(host.outside, tcp(port, address))).toBe('allowed');
    expect(await probe(inside, tcp(443, '203.0.113.80'))).toBe('allowed');
    await inside.close();
  }

  const before: Readonly<Record<string, () => Promise<void>>> = {
    'routewall doctor': () => expectServed('192.0.2.1', 8080),
    'lxc-stop -n web': () => expectServed('192.0.2.1', 8080),
    'routewall explain --from 192.0.2.2 --to container:web http': () => expectServed('198.51.100.10', 80),
  };

  test.each(parsePage(page))('$name', async (step) => {
    await before[step.name]?.();
    await followStep(step, host);
  });
});
