/** The real Docker, ufw and firewalld: the doctor says what they drop, and its line lets pass what was dropped. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { fieldOf } from '../../sandbox/json.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf } from '../lxc/routewall.ts';
import { addContainer, expectActive, RELEASES, waitUntilInForce } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';

const POLICY = `egress:
  rules:
    - { allow: tcp/443, to: 203.0.113.80 }
    - { allow: tcp/8080, to: host }
ingress: { rules: [{ allow: tcp/80, from: any }] }
`;

interface Finding {
  readonly severity: string;
  readonly message: string;
  readonly mend: string;
}

/** In the chains that the daemon of Docker 28 makes at a start, which is newer than Debian's; written by hand, it was not run. */
const DOCKER_28 = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
`;

const FORGET = 'nft delete table ip filter && nft delete table ip nat';

/** Else it tries what needs more of a kernel than there is within a container. */
const DOCKER_CONFIG = { 'etc/docker/daemon.json': '{ "storage-driver": "vfs" }\n' };

const ALL = { ingress: 'allowed', egress: 'allowed', host: 'allowed' } as const;

interface Row {
  readonly firewall: string;
  readonly begin: string;
  readonly end: string;
  /** What still comes through beside it. */
  readonly passes: Readonly<Record<keyof typeof ALL, string>>;
  readonly says: readonly string[];
}

const ROWS: readonly Row[] = [
  {
    firewall: "Debian's Docker",
    begin: 'systemctl start docker.service',
    end: `systemctl stop docker.service docker.socket && ${FORGET}`,
    passes: { ...ALL, ingress: 'dropped', egress: 'dropped' },
    says: ['chain FORWARD of table ip filter drops'],
  },
  {
    firewall: 'the rules of Docker 28',
    begin: 'iptables-restore < /root/docker.rules',
    end: FORGET,
    passes: { ...ALL, ingress: 'dropped', egress: 'dropped' },
    says: ['chain FORWARD of table ip filter drops'],
  },
  {
    firewall: 'ufw',
    begin: 'ufw --force enable',
    end: 'ufw --force reset && for family in ip ip6; do nft delete table $family filter; done',
    passes: { ingress: 'dropped', egress: 'dropped', host: 'dropped' },
    says: ['chain INPUT of table ip filter drops', 'chain FORWARD of table ip filter drops'],
  },
  {
    firewall: 'firewalld',
    // Its name is on the bus before its rules are in the kernel.
    begin: 'systemctl start firewalld; until firewall-cmd --state; do sleep 0.1; done',
    end: 'systemctl stop firewalld',
    passes: { ingress: 'refused', egress: 'refused', host: 'refused' },
    says: ['chain filter_INPUT of table inet firewalld drops', 'chain filter_FORWARD of table inet firewalld drops'],
  },
];

describe.each(RELEASES)('on Debian $release', ({ release }) => {
  let host: DebianHost;
  let web: DebianContainer;

  beforeAll(async () => {
    host = await bootDebianHost({ release, files: DOCKER_CONFIG });
    await aptInstall(host, await packageFile());
    await expectActive(host, 'routewall.service');
    web = await addContainer(host, 'web', { last: 20, policy: POLICY, lines: ['lxc.cap.drop = sys_module sys_rawio'] });
    await web.start();
    await waitUntilInForce(host);
    await host.write('/root/docker.rules', DOCKER_28);
    await listen(await web.inside(), { protocol: 'tcp', port: 80 });
    await listen(host.outside, { protocol: 'tcp', port: 443 });
    await listen(await host.network(), { protocol: 'tcp', port: 8080 });
  });
  afterAll(cleanUp);

  const [v4] = addressesOf(20);
  const reach = async (): Promise<Record<keyof typeof ALL, string>> => {
    const inside = await web.inside();
    const tcp = { protocol: 'tcp', timeout: 1_000 } as const;
    return {
      ingress: await probe(host.outside, { ...tcp, port: 80, to: v4 }),
      egress: await probe(inside, { ...tcp, port: 443, to: '203.0.113.80' }),
      host: await probe(inside, { ...tcp, port: 8080, to: '192.0.2.1' }),
    };
  };
  const shell = (command: string) => host.system.run('sh', ['-c', command], { timeout: 120_000 });
  const diagnose = async (): Promise<Finding[]> => {
    const { stdout } = await host.system.runForResult('routewall', ['doctor', '--json', '-n', 'web']);
    const found: Finding[] = JSON.parse(stdout);
    return found.filter(({ severity, message }) => severity === 'error' || message.includes('may drop'));
  };
  const explain = async () => {
    const words = ['explain', '--from', '203.0.113.80', '--to', 'container:web', 'tcp/80'];
    return (await host.system.runForResult('routewall', words)).stdout;
  };

  test('nothing is found where nothing drops', async () => {
    expect([await reach(), await diagnose()]).toEqual([ALL, []]);
    expect(await explain()).toMatch(/^allow /);
  });

  test.each(ROWS)('$firewall', async ({ begin, end, passes, says }) => {
    await shell(begin);
    expect(await reach()).toEqual(passes);
    const found = await diagnose();
    for (const words of says)
      expect(found.map(({ message }) => message)).toContainEqual(expect.stringContaining(words));
    expect(await explain()).toMatch(/^allow [\s\S]*allowed by routewall, but .* would drop it/);
    for (const mend of new Set(found.map(({ mend }) => mend))) await shell(mend);
    expect([await reach(), await diagnose()]).toEqual([ALL, []]);
    expect(await explain()).not.toContain('drop it');
    await shell(end);
    expect([await reach(), await diagnose()]).toEqual([ALL, []]);
    expect(fieldOf(JSON.parse((await host.system.run('routewall', ['preview', '--json'])).stdout), 'changed')).toBe(
      false,
    );
  });

  test("a container of Docker's keeps its network and its published port", async () => {
    await shell('systemctl restart docker.service');
    await shell('mkdir -p image/bin && cp /bin/busybox image/bin && echo reached > image/index.html');
    await shell('tar -C image -c . | docker import - busybox');
    await shell('docker run -d --name theirs -p 8081:80 busybox /bin/busybox httpd -f -h /');
    const works = async (): Promise<void> => {
      await shell('docker exec theirs /bin/busybox ping -c 1 -W 3 203.0.113.80');
      const asked = { input: 'GET / HTTP/1.0\r\n\r\n' };
      expect((await host.outside.run('busybox', ['nc', '-w', '3', '192.0.2.1', '8081'], asked)).stdout).toContain(
        'reached',
      );
    };
    await works();
    await shell('systemctl restart routewall.service');
    await works();
    await shell('routewall panic on');
    await works();
    await shell('routewall panic off');
    await shell('docker restart -t 0 theirs');
    await works();
  });
});
