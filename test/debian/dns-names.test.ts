/** Names as peers, and connections that are cut, inside the packaged service's sandbox. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { startDnsServer } from '../lxc/dns-server.ts';
import { addContainer, bootServingHost, expectActive, writePolicy } from './lxc-host.ts';

afterEach(cleanUp);

const DROP_IN = '[Service]\nRestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=any\n';

test('the packaged service asks DNS once its sandbox is opened for it, and cuts what a policy forbids', async () => {
  const host = await bootServingHost('bookworm');
  const { system, outside } = host;
  const server = await startDnsServer(outside);
  await server.setZone({ 'deb.example': ['203.0.113.80'] });
  await listen(outside, { protocol: 'tcp', port: 80 });
  await host.write('/etc/routewall/routewall.yaml', 'dns:\n  servers: [192.0.2.2]\n');
  const policy = 'egress:\n  rules:\n    - allow: tcp/80\n      to: "dns:deb.example"\n';
  const web = await addContainer(host, 'web', { last: 10, policy });
  await web.start();
  const status = async (): Promise<string> => (await system.runForResult('routewall', ['status'])).stdout;
  await eventually(
    'status says that nobody can be asked',
    async () => /dns:deb\.example +none/.test(await status()),
    20_000,
  );
  expect(await status()).toMatch(/dns:deb\.example .*ECONNREFUSED/);
  await host.write('/etc/systemd/system/routewall.service.d/dns.conf', DROP_IN);
  await system.run('systemctl', ['daemon-reload']);
  await system.run('systemctl', ['restart', 'routewall.service']);
  await expectActive(host, 'routewall.service');
  const to = { protocol: 'tcp', to: '203.0.113.80', port: 80 } as const;
  const inside = await web.inside();
  await eventually('the name is reached', async () => (await probe(inside, to)) === 'allowed', 20_000);
  const flow = await openFlow(inside, to);
  await writePolicy(host, 'web', 'egress: { default: drop }\n');
  await eventually('the connection is cut', async () => (await flow.beat(300)) !== 'alive', 20_000);
});
