/** Rules as Docker's daemon writes them beside ours: the doctor names them, and its line mends what really was broken. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

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
  const web = await routewall.addContainer('web', { policy, lines: nic(addressesOf(20)) });
  await routewall.start(web);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
  const reach = (to: string): Promise<string> => probe(outside, { protocol: 'tcp', port: 80, to, timeout: 1_000 });
  const [v4, v6] = addressesOf(20);
  const doctor = async (): Promise<readonly { message: string; mend: string; severity: string; container: string }[]> =>
    JSON.parse((await routewall.cli('doctor', '--json', '-n', 'web')).stdout);
  const ofWeb = async () => (await doctor()).filter(({ container }) => container === 'web');
  const tables = async (): Promise<string> => (await host.run('nft', ['-s', 'list', 'ruleset'])).stdout;

  expect([await reach(v4), await ofWeb()]).toEqual(['allowed', []]);
  for (const words of DOCKER) await host.run('iptables-nft', words);
  const before = await tables();
  expect([await reach(v4), await reach(v6)]).toEqual(['dropped', 'allowed']);
  const found = await ofWeb();
  expect(found).toEqual([
    {
      severity: 'error',
      container: 'web',
      message: 'chain FORWARD of table ip filter drops tcp/80 to web, which its policy allows: by its policy',
      mend: `nft 'insert rule ip filter FORWARD iifname "veth*" accept; insert rule ip filter FORWARD oifname "veth*" accept'`,
    },
  ]);
  expect((await routewall.cli('doctor')).exitCode).toBe(1);
  // It only reads.
  expect(await tables()).toBe(before);
  await host.run('sh', ['-c', found[0]?.mend ?? '']);
  expect([await reach(v4), await ofWeb()]).toEqual(['allowed', []]);
});
