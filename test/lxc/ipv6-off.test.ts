/** A host on which IPv6 is switched off: IPv4 works as ever, what doesn't is told, and comes once it is on again. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf } from '../../sandbox/json.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const POLICY = 'ingress:\n  rules:\n    - allow: tcp/80\n      from: any\n';
const OPEN = { protocol: 'tcp', port: 80 } as const;
const SHUT = { protocol: 'tcp', port: 81 } as const;

test('serves by IPv4, tells what that leaves out, and serves by IPv6 once what the doctor says is done', async () => {
  const rw = await startRoutewall({
    policies: { 'containers/web.yaml': POLICY },
    prepare: async ({ host }) => {
      await host.run('sysctl', ['-q', '-w', 'net.ipv6.conf.all.disable_ipv6=1']);
    },
  });
  const { host, outside } = rw.bed;
  const [v4, v6] = addressesOf(10);
  const four = await rw.addContainer('four', { lines: nic(['198.51.100.11']), policy: POLICY });
  const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
  const mark = rw.mark();
  await rw.start(four);
  expect(
    rw.daemon
      .child()
      .lines.slice(mark)
      .filter((line) => / (error|warning): /.test(line)),
  ).toEqual([]);
  await rw.start(web);
  for (const port of [OPEN, SHUT]) await listen(await web.inside(), port);
  expect(await probe(outside, { ...OPEN, to: v4, timeout: 2_000 })).toBe('allowed');
  await rw.statusTells(/^web: .*IPv6 is disabled on this device/m);

  const findings: unknown = JSON.parse((await rw.cli('doctor', '--json')).stdout);
  if (!Array.isArray(findings)) throw new Error('no list');
  const told = findings.filter((one) => /IPv6/.test(String(fieldOf(one, 'message'))));
  expect(told).toEqual([
    {
      severity: 'error',
      container: 'web',
      message: `IPv6 is switched off on ${await web.hostVeth()}: its IPv6 addresses reach nobody, and nobody reaches them`,
      mend: 'sysctl -w net.ipv6.conf.all.disable_ipv6=0',
    },
  ]);

  await host.run('sh', ['-c', String(fieldOf(told[0], 'mend'))]);
  await host.run('ip', ['address', 'add', '2001:db8:0:1::1/64', 'dev', 'eth0', 'nodad']);
  await eventually('it is reached by IPv6', async () => (await probe(outside, { ...OPEN, to: v6 })) === 'allowed');
  expect(await probe(outside, { ...SHUT, to: v6 })).not.toBe('allowed');
  await eventually('status is content', async () =>
    (await rw.cli('status')).stdout.includes('holds what the files say'),
  );
});
