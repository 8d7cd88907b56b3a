/** A policy that breaks its own expectations changes nothing, whichever way it comes. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { readOwnState } from './kernel-state.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [WEB] = addressesOf(20);

const allow = (...ports: readonly number[]): string =>
  `ingress: { rules: [{ allow: [${ports.map((port) => `tcp/${port}`).join(', ')}], from: any }] }\nexpect:\n  - { drop: ssh, from: any }\n`;

/** 22 must not be open, and is. */
const COMPLAINT =
  'containers/web.yaml:3:5: error: expected drop ssh from any, but tcp/22 from 1.0.0.0 is allowed by web.yaml:1:20 (allow tcp/22,80 from any)';

async function startWeb(config: string): Promise<Routewall> {
  const routewall = await startRoutewall({ config, policies: { 'containers/web.yaml': allow(80) } });
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(20)) });
  await routewall.start(web);
  await listen(await web.inside(), ...[22, 80, 81].map((port) => ({ protocol: 'tcp' as const, port })));
  return routewall;
}

const openPorts = async ({ bed }: Routewall): Promise<number[]> => {
  const reached = await Promise.all(
    [22, 80, 81].map((port) => probe(bed.outside, { protocol: 'tcp', to: WEB, port, timeout: 1_000 })),
  );
  return [22, 80, 81].filter((_, at) => reached[at] === 'allowed');
};

it('keeps what was good when a saved file breaks them, across a restart too', async () => {
  const routewall = await startWeb('');
  const good = await readOwnState(routewall.bed.host);
  const flow = await openFlow(routewall.bed.outside, { protocol: 'tcp', to: WEB, port: 80, timeout: 3_000 });
  expect(await openPorts(routewall)).toEqual([80]);

  const after = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', allow(22, 80));
  expect(await routewall.daemon.child().waitForLine(/web\.yaml:3:5: error: /, { after })).toContain(COMPLAINT);
  expect(await readOwnState(routewall.bed.host)).toEqual(good);
  const check = await routewall.cli('check');
  expect([check.exitCode, check.stdout]).toEqual([1, expect.stringContaining(COMPLAINT)]);
  const preview = await routewall.cli('preview', '--exit-code');
  expect([preview.exitCode, preview.stderr]).toEqual([0, expect.stringContaining(COMPLAINT)]);
  await routewall.statusTells(/web\.yaml: broken, last good one/);

  await routewall.daemon.restart('SIGKILL');
  expect(await readOwnState(routewall.bed.host)).toEqual(good);
  expect(await openPorts(routewall)).toEqual([80]);
  expect(await flow.beat()).toBe('alive');

  // As expected again, it comes into force; without the expectation, the same rules would.
  await routewall.writePolicy('containers/web.yaml', allow(80, 81));
  await eventually('81 is open', async () => `${await openPorts(routewall)}` === '80,81', 10_000);
  await routewall.writePolicy('containers/web.yaml', allow(22, 80).replace(/expect[\s\S]*/, ''));
  await eventually('22 is open', async () => `${await openPorts(routewall)}` === '22,80', 10_000);
});

it('refuses them to apply, on trial and for good, and to a rollback', async () => {
  const routewall = await startWeb('autoApply: false\n');
  // Revision 2 was fine when it was applied: the host had no such address.
  const local = 'ingress: { rules: [{ allow: tcp/81, from: 203.0.113.7 }, { allow: tcp/80, from: any }] }\n';
  await routewall.writePolicy('containers/web.yaml', `${local}expect:\n  - { drop: tcp/81, from: host }\n`);
  expect((await routewall.cli('apply')).exitCode).toBe(0);
  await routewall.writePolicy('containers/web.yaml', allow(80));
  expect((await routewall.cli('apply')).exitCode).toBe(0);
  const good = await readOwnState(routewall.bed.host);

  await routewall.writePolicy('containers/web.yaml', allow(22, 80));
  for (const words of [['apply', '--confirm', '60s'], ['rollback'], ['apply']]) {
    const answer = await routewall.cli(...words);
    if (words[0] === 'apply') expect(answer).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(COMPLAINT) });
    expect(await readOwnState(routewall.bed.host), words.join(' ')).toEqual(good);
  }

  await routewall.bed.host.run('ip', ['address', 'add', '203.0.113.7/32', 'dev', 'lo']);
  const back = await routewall.cli('rollback', '2');
  expect([back.exitCode, back.stderr]).toEqual([
    1,
    expect.stringContaining('expected drop tcp/81 from host, but tcp/81 from 203.0.113.7 is allowed by web.yaml:1:20'),
  ]);
  expect(await openPorts(routewall)).toEqual([80]);
});
