/** Rules that count, rules that end, and log lines that lead to a rule: for one container, whatever another does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

async function run(routewall: Routewall, name: string, last: number): Promise<Container> {
  const container = await routewall.addContainer(name, { lines: nic(addressesOf(last)) });
  await routewall.start(container);
  await listen(await container.inside(), ...[22, 23, 80].map((port) => ({ protocol: 'tcp' as const, port })));
  return container;
}

const reach = ({ bed }: Routewall, last: number, port: number) =>
  probe(bed.outside, { protocol: 'tcp', to: addressesOf(last)[0], port, timeout: 900 });

/** How many of so many attempts, one after another, come through. */
async function passed(routewall: Routewall, last: number, attempts: number): Promise<number> {
  let count = 0;
  for (let attempt = 0; attempt < attempts; attempt += 1)
    if ((await reach(routewall, last, 22)) === 'allowed') count += 1;
  return count;
}

it('counts new flows for each container, keeps the count across edits, and lets nothing fall through', async () => {
  const limited = (more = ''): string =>
    `${more}ingress:\n  rules:\n    - { allow: ssh, from: any, limit: 1/day burst 3 }\n    - { allow: any, from: any }\n`;
  const policies = { 'containers/web.yaml': limited(), 'containers/twin.yaml': limited() };
  const routewall = await startRoutewall({ policies });
  await run(routewall, 'web', 20);
  await run(routewall, 'twin', 21);
  const flow = await openFlow(routewall.bed.outside, {
    protocol: 'tcp',
    to: addressesOf(20)[0],
    port: 22,
    timeout: 3_000,
  });
  expect(await passed(routewall, 20, 5)).toBe(2);
  // What has passed isn't limited, and other services aren't.
  expect(await flow.beat()).toBe('alive');
  expect(await reach(routewall, 20, 80)).toBe('allowed');
  // The same rule in the same words counts for the other one alone.
  expect(await passed(routewall, 21, 5)).toBe(3);

  const text = limited('# a line more\n').replace('allow: any', 'allow: tcp/80');
  await routewall.writePolicy('containers/web.yaml', text);
  await eventually('the edit is in force', async () => (await reach(routewall, 20, 23)) !== 'allowed', 10_000);
  expect(await passed(routewall, 20, 2)).toBe(0);
  // Without the limit they all pass: it was the limit that held them.
  await routewall.writePolicy('containers/web.yaml', text.replace(', limit: 1/day burst 3', ''));
  await eventually('ssh passes', async () => (await reach(routewall, 20, 22)) === 'allowed', 10_000);
  expect(await passed(routewall, 20, 3)).toBe(3);
});

it('ends a rule on time, with a daemon that cuts its flows and without one', async () => {
  const routewall = await startRoutewall({ policies: { 'containers/web.yaml': 'ingress: {}\n' } });
  await run(routewall, 'web', 20);
  const ends = [9_000, 15_000].map((ms) => Math.ceil((Date.now() + ms) / 1000) * 1000);
  const [first = '', second = ''] = ends.map((end) => new Date(end).toISOString());
  const rules = [
    `{ allow: tcp/22, from: any, until: "${first}" }`,
    `{ allow: tcp/23, from: any, until: "${second}" }`,
    '{ allow: tcp/80, from: any }',
    '{ allow: tcp/81, from: any, enabled: false }',
  ];
  const after = routewall.mark();
  await routewall.writePolicy(
    'containers/web.yaml',
    `ingress:\n  rules:\n${rules.map((rule) => `    - ${rule}\n`).join('')}`,
  );
  await routewall.enforced('web', { after });
  const [ssh, telnet] = await Promise.all(
    [22, 23].map((port) =>
      openFlow(routewall.bed.outside, { protocol: 'tcp', to: addressesOf(20)[0], port, timeout: 3_000 }),
    ),
  );
  await eventually('both are counted down', async () => {
    const { stdout } = await routewall.cli('status');
    return [3, 4].every((line) => new RegExp(`web: the rule at .*web\\.yaml:${line} ends in \\d+ s \\(`).test(stdout));
  });

  await eventually('the first has ended', async () => (await reach(routewall, 20, 22)) !== 'allowed', 20_000);
  expect(Date.now()).toBeGreaterThan(ends[0] ?? 0);
  await eventually('its flow is cut', async () => (await ssh?.beat(300)) !== 'alive', 10_000);
  await routewall.daemon.stop('SIGKILL');

  await eventually('the second has ended too', async () => (await reach(routewall, 20, 23)) !== 'allowed', 20_000);
  expect(Date.now()).toBeGreaterThan(ends[1] ?? 0);
  expect(await reach(routewall, 20, 80)).toBe('allowed');
  await routewall.daemon.restart();
  // Whoever came through while it held, and nobody cut, is cut now.
  await eventually('that flow is cut too', async () => (await telnet?.beat(300)) !== 'alive', 10_000);
  expect([await reach(routewall, 20, 22), await reach(routewall, 20, 23)]).not.toContain('allowed');
  expect((await routewall.cli('check')).stdout).toMatch(/web\.yaml:3:\d+: warning: the rule ended at /);
});

/** Sends so many datagrams to ports that nobody allows. */
const SEND = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(int(sys.argv[1])):
    try: s.sendto(b"x", ("192.0.2.2", 1 + n % 60000))
    except OSError: pass
`;

it('logs with the policy line, boundedly, and a flood of one container silences no other', async () => {
  const SENT = 3_000;
  const logged = async (rate: string): Promise<{ readonly loud: number; readonly quiet: number }> => {
    const policy = 'egress:\n  rules:\n    - { drop: udp/1-65535, to: any, log: true }\n';
    const policies = { 'containers/loud.yaml': policy, 'containers/quiet.yaml': policy };
    const routewall = await startRoutewall({ policies, config: `log: { group: 44, rate: ${rate} }\n` });
    const [loud, quiet] = [await run(routewall, 'loud', 20), await run(routewall, 'quiet', 21)];
    const file = join(await makeFolder(), 'log.pcap');
    const capture = routewall.bed.host.spawn('tcpdump', [
      '-Z',
      'root',
      '-n',
      '-U',
      '-B',
      '32768',
      '-i',
      'nflog:44',
      '-w',
      file,
    ]);
    await capture.waitForLine(/listening on/);
    // A packet's record begins with its prefix.
    const count = (name: string): number =>
      readFileSync(file, 'latin1').split(`${name} egress ${name}.yaml:3 `).length - 1;
    await (await loud.inside()).run('/usr/bin/python3', ['-', `${SENT}`], { input: SEND });
    await (await quiet.inside()).run('/usr/bin/python3', ['-', '3'], { input: SEND });
    await eventually('all of the quiet one is logged', () => Promise.resolve(count('quiet') === 3), 10_000);
    await capture.stop('SIGINT');
    return { loud: count('loud'), quiet: count('quiet') };
  };
  const bounded = await logged('5/second');
  expect(bounded.quiet).toBe(3);
  expect(bounded.loud).toBeGreaterThan(0);
  expect(bounded.loud).toBeLessThan(SENT / 10);
  // The same flood where the rate is no bound.
  expect((await logged('100000/second')).loud).toBeGreaterThan(SENT / 10);
});
