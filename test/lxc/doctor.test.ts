/** Rules as Docker's daemon writes them beside ours: the doctor names them, and its line mends what really was broken. */
import { writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** As Debian's common.conf has it. */
const CONFINED = ['lxc.cap.drop = sys_module sys_rawio'];

/** An interface that leads to others than the one by which a client comes. */
const DOCKER0 = 'ip link add docker0 type bridge && ip address add 172.17.0.1/16 dev docker0 && ip link set docker0 up';

const DOCKER = [
  ['-P', 'FORWARD', 'DROP'],
  ['-N', 'DOCKER-USER'],
  ['-A', 'DOCKER-USER', '-j', 'RETURN'],
  ['-A', 'FORWARD', '-j', 'DOCKER-USER'],
  ['-A', 'FORWARD', '-o', 'docker0', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
  ['-A', 'FORWARD', '-i', 'docker0', '!', '-o', 'docker0', '-j', 'ACCEPT'],
];

it('names the chain that drops what a policy allows, and how to mend it', async () => {
  const routewall = await startRoutewall();
  const { host, outside } = routewall.bed;
  const policy =
    'ingress: { rules: [{ allow: tcp/80, from: any }] }\negress: { rules: [{ allow: tcp/443, to: host }] }\n';
  const web = await routewall.addContainer('web', { policy, lines: [...nic(addressesOf(20)), ...CONFINED] });
  await routewall.start(web);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
  const reach = (to: string): Promise<string> => probe(outside, { protocol: 'tcp', port: 80, to, timeout: 1_000 });
  const [v4, v6] = addressesOf(20);
  const doctor = async (): Promise<readonly { message: string; mend: string; severity: string; container: string }[]> =>
    JSON.parse((await routewall.cli('doctor', '--json', '-n', 'web')).stdout);
  const ofWeb = async () =>
    (await doctor()).filter(({ container, severity }) => container === 'web' && severity !== 'note');
  const tables = async (): Promise<string> =>
    (await host.run('sh', ['-c', 'nft list tables; nft -s list table ip filter'])).stdout;

  expect([await reach(v4), await ofWeb()]).toEqual(['allowed', []]);
  await host.run('sh', ['-c', DOCKER0]);
  for (const words of DOCKER) await host.run('iptables-nft', words);
  const before = await tables();
  expect([await reach(v4), await reach(v6)]).toEqual(['dropped', 'allowed']);
  const found = await ofWeb();
  expect(found).toEqual([
    {
      severity: 'error',
      container: 'web',
      message:
        "chain FORWARD of table ip filter drops tcp/80 to web, which its policy allows: by that chain's default (policy drop)",
      mend: 'iptables -I DOCKER-USER -i veth+ -j ACCEPT && iptables -I DOCKER-USER -o veth+ -j ACCEPT',
    },
  ]);
  expect((await routewall.cli('doctor')).exitCode).toBe(1);
  const question = ['explain', '--from', '203.0.113.80', '--to', 'container:web', 'tcp/80'];
  const explained = await routewall.cli(...question);
  expect(explained.stdout).toContain(
    "allowed by routewall, but chain FORWARD of table ip filter would drop it: by that chain's default (policy drop)",
  );
  expect(explained.exitCode).toBe(1);
  expect(JSON.parse((await routewall.cli(...question, '--json')).stdout)).toMatchObject({
    verdict: 'allow',
    foreign: [{ chain: 'chain FORWARD of table ip filter', sure: true, mend: found[0]?.mend }],
  });
  // It only reads.
  expect(await tables()).toBe(before);
  await host.run('sh', ['-c', found[0]?.mend ?? '']);
  expect([await reach(v4), await ofWeb()]).toEqual(['allowed', []]);
  expect((await routewall.cli(...question)).stdout).not.toContain('drop it');
});

it('reads the rules of the old iptables where there are any, and loads none', async () => {
  const routewall = await startRoutewall();
  const { host, outside } = routewall.bed;
  const policy = 'ingress: { rules: [{ allow: tcp/80, from: any }] }\n';
  const web = await routewall.addContainer('web', { policy, lines: [...nic(addressesOf(21)), ...CONFINED] });
  await routewall.start(web);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
  const reach = (to: string): Promise<string> => probe(outside, { protocol: 'tcp', port: 80, to, timeout: 1_000 });
  const tables = async (): Promise<string> =>
    (await host.run('sh', ['-c', 'cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list tables'])).stdout;
  const found = async (): Promise<readonly { message: string; mend: string }[]> =>
    JSON.parse((await routewall.cli('doctor', '--json')).stdout).filter(
      ({ severity }: { severity: string }) => severity === 'error',
    );

  const without = await tables();
  expect(await found()).toEqual([]);
  expect(await tables()).toBe(without);
  const [v4, v6] = addressesOf(21);
  await host.run('ip6tables-legacy', [
    '-A',
    'FORWARD',
    '-o',
    'veth+',
    '-p',
    'tcp',
    '-m',
    'multiport',
    '--dports',
    '22,80',
    '-j',
    'DROP',
  ]);
  expect([await reach(v4), await reach(v6)]).toEqual(['allowed', 'dropped']);
  const [drop, second] = await found();
  expect([drop, second]).toMatchObject([
    {
      message:
        "chain FORWARD of ip6tables-legacy's table ip6 filter drops tcp/80 to web, which its policy allows: by rule 1 of chain FORWARD",
      mend: 'ip6tables-legacy -I FORWARD -i veth+ -j ACCEPT && ip6tables-legacy -I FORWARD -o veth+ -j ACCEPT',
    },
    undefined,
  ]);
  await host.run('sh', ['-c', drop?.mend ?? '']);
  expect([await reach(v6), await found()]).toEqual(['allowed', []]);
});

it("explain says that another program's rule may send a flow to another address", async () => {
  const routewall = await startRoutewall();
  const { host } = routewall.bed;
  const explain = async (service: string, ...words: readonly string[]): Promise<string> => {
    const asked = ['explain', '--from', '203.0.113.80', '--to', 'host', '-4', service, ...words];
    return (await routewall.cli(...asked)).stdout;
  };
  await host.run('iptables-nft', [
    ...['-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080'],
    ...['-j', 'DNAT', '--to-destination', '198.51.100.20:80'],
  ]);
  const table = `table ip theirs {
    chain sent { tcp dport 8081 dnat to 198.51.100.20:80; }
    chain in { type nat hook prerouting priority dstnat; iifname "eth0" jump sent; udp dport 53 redirect to :5353; }
    chain out { type nat hook output priority -100; tcp dport 8082 dnat to 198.51.100.20:80; }
  }
`;
  await host.run('nft', ['-f', '-'], { input: table });
  const said = (chain: string): string => `${chain} may send it to another address: ask about that one`;
  expect(await explain('tcp/8080')).toContain(said('chain PREROUTING of table ip nat'));
  expect(await explain('tcp/8081')).toContain(said('chain sent of table ip theirs'));
  expect(await explain('udp/53')).toContain(said('chain in of table ip theirs'));
  for (const service of ['tcp/8082', 'tcp/80', 'udp/8080']) expect(await explain(service)).not.toContain('may send it');
  const json = JSON.parse(await explain('tcp/8080', '--json'));
  expect(json).toMatchObject({ verdict: 'allow', foreignNat: ['chain PREROUTING of table ip nat'] });
});

it("names another program's interface that the guard shuts, as explain does, and the setting that lets it by", async () => {
  const routewall = await startRoutewall();
  const { host } = routewall.bed;
  // Of one's own without a bridge, as the point-to-point networks of others are.
  const other = await createNamespace('other');
  await runIp(host, [
    `link add vethother type veth peer name eth0 netns ${other.name}`,
    'link set vethother up',
    'address add 10.88.0.1/32 dev vethother',
    'route add 10.88.0.2/32 dev vethother',
  ]);
  await runIp(other, [
    'link set eth0 up',
    'address add 10.88.0.2/32 dev eth0',
    'route add 10.88.0.1/32 dev eth0',
    'route add default via 10.88.0.1',
  ]);
  await listen(host, { protocol: 'tcp', port: 8080 });
  const reach = (): Promise<string> => probe(other, { protocol: 'tcp', port: 8080, to: '10.88.0.1', timeout: 1_000 });
  const named = async (): Promise<boolean> =>
    (await routewall.cli('doctor')).stdout.includes("vethother looks like a container's");
  const explained = async (from: string, to: string, ...options: readonly string[]) => {
    const { stdout } = await routewall.cli(...options, 'explain', '--from', from, '--to', to, 'tcp/8080', '--json');
    const { verdict, steps }: { verdict: string; steps: readonly { at: string; verdict: string }[] } =
      JSON.parse(stdout);
    return [verdict, steps.find((step) => step.verdict !== 'allow')?.at];
  };
  const ways = async (...options: readonly string[]) => [
    await explained('10.88.0.2', 'host', ...options),
    await explained('host', '10.88.0.2', ...options),
    await explained('10.88.0.2', '203.0.113.80', ...options),
  ];
  const GUARD = ['drop', 'the guard'];
  const shut = [GUARD, GUARD, GUARD];
  expect([await reach(), await named(), await ways()]).toEqual(['dropped', true, shut]);
  await writeFile(routewall.configFile, 'uplinks: [eth0, vethother]\n');
  await eventually('it is let by', async () => (await reach()) === 'allowed');
  const open = ['allow', undefined];
  expect([await named(), await ways()]).toEqual([false, [open, open, open]]);
});
