/** What is in force and what waits: confirmed or taken back, kept or rolled back, by a running daemon or the next one. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf, textOf } from '../../sandbox/json.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [WEB] = addressesOf(20);
const MANUAL = 'autoApply: false\n';

const allow = (...ports: readonly number[]): string => `
routes: [203.0.113.${ports.length * 16}/28, 192.0.2.${ports.length + 200}]
ingress: { rules: [{ allow: [${ports.map((port) => `tcp/${port}`).join(', ')}], from: any }] }
`;

interface Bed {
  readonly routewall: Routewall;
  readonly outside: Place;
}

async function startWeb(text: string, config: string): Promise<Bed> {
  const routewall = await startRoutewall({ config, policies: { 'containers/web.yaml': text } });
  const container = await routewall.addContainer('web', { lines: nic(addressesOf(20)) });
  await routewall.start(container);
  await listen(await container.inside(), ...[22, 80, 81].map((port) => ({ protocol: 'tcp' as const, port })));
  return { routewall, outside: routewall.bed.outside };
}

const session = (from: Place, port: number): Promise<Flow> =>
  openFlow(from, { protocol: 'tcp', to: WEB, port, timeout: 3_000 });
const reach = (from: Place, port: number) => probe(from, { protocol: 'tcp', to: WEB, port });
const becomes = (from: Place, port: number, what: string): Promise<unknown> =>
  eventually(`${port} is ${what}`, async () => (await reach(from, port)) === what, 10_000);
const isCut = (flow: Flow): Promise<unknown> =>
  eventually('the session is cut', async () => (await flow.beat(300)) !== 'alive', 10_000);

/** Exit status 0, and what was said. */
async function done({ cli }: Routewall, ...words: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await cli(...words);
  expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 0, stderr: '' });
  return stdout;
}

const route = async ({ bed }: Routewall): Promise<string> =>
  (await bed.host.run('ip', ['route', 'show', 'proto', '119'])).stdout;

const proxies = async ({ bed }: Routewall): Promise<string> =>
  (await bed.host.run('ip', ['neigh', 'show', 'proxy'])).stdout;

async function revisionIn(routewall: Routewall): Promise<unknown> {
  const { stdout } = await routewall.cli('status', '--json');
  return fieldOf(JSON.parse(stdout), 'revision');
}

it('takes back in time what was not confirmed, with sessions, rules and routes', async () => {
  const { routewall, outside } = await startWeb(allow(22, 80), MANUAL);
  const ssh = await session(outside, 22);
  await routewall.writePolicy('containers/web.yaml', allow(80));
  // Saved, and not in force.
  await eventually('it waits', async () => textOf(await revisionIn(routewall), 'reason') === 'apply');
  expect(await ssh.beat()).toBe('alive');
  expect(await done(routewall, 'status')).toMatch(/containers\/web.yaml differs .* waits for routewall apply/);
  expect((await routewall.cli('preview', '--exit-code')).exitCode).toBe(1);
  const question = ['explain', '--from', '203.0.113.80', '--to', 'container:web', 'tcp/80'];
  const saved =
    /^(?:answered|drawn) by the files as they are saved: containers\/web.yaml differs .* waits for routewall apply$/m;
  for (const words of [question, [...question, '--json'], ['map'], ['map', '--json']])
    expect((await routewall.cli(...words)).stderr).toMatch(saved);
  const ssh22 = ['explain', '--from', '203.0.113.80', '--to', 'container:web', '-4', 'tcp/22'];
  expect((await routewall.cli(...ssh22)).stdout).toMatch(/^drop /);
  expect(await done(routewall, ...ssh22, '--in-force')).toMatch(/^allow /);
  expect(await done(routewall, 'map', '--in-force')).toMatch(/ web +tcp\/22,80$/m);

  const said = await done(routewall, 'apply', '--confirm', '8s');
  expect(said).toMatch(
    /revision 2 is in force for 8 s; keep it: routewall confirm\notherwise revision 1 comes back at /,
  );
  expect(said).toContain('web: from any ssh now dropped (was allowed by web.yaml:3)');
  await isCut(ssh);
  expect(await route(routewall)).toContain('203.0.113.16/28');
  // Its neighbours are asked first.
  await eventually('it is proxied', async () => (await proxies(routewall)).includes('192.0.2.201 '));
  // Further edits wait too.
  await routewall.writePolicy('containers/web.yaml', allow(80, 81));
  expect((await routewall.cli('apply')).stderr).toContain('revision 2 waits for routewall confirm');

  await becomes(outside, 22, 'allowed');
  expect(await route(routewall)).toContain('203.0.113.32/28');
  await eventually('it is proxied again', async () => (await proxies(routewall)).includes('192.0.2.202 '));
  expect(await proxies(routewall)).not.toContain('192.0.2.201 ');
  expect(await reach(outside, 81)).not.toBe('allowed');
  expect((await routewall.cli('confirm')).stderr).toContain('nothing waits for a confirmation');
  expect(await done(routewall, 'history')).toMatch(/^ {2}2 .*taken back$[\s\S]*^\* 1 /m);
  // The status file follows a moment later.
  await eventually('it says so', async () => textOf(await revisionIn(routewall), 'reason') === 'refused');
});

it('keeps what was confirmed, and goes back on request', async () => {
  const { routewall, outside } = await startWeb(allow(22), MANUAL);
  await routewall.writePolicy('containers/web.yaml', allow(22, 80));
  await done(routewall, 'apply', '--confirm', '30s');
  const [ssh, web] = [await session(outside, 22), await session(outside, 80)];
  expect(await done(routewall, 'confirm')).toContain('revision 2 stays in force');
  expect(await done(routewall, 'rollback')).toMatch(/revision 3 is in force[\s\S]*web: from any http now dropped/);
  await isCut(web);
  expect(await ssh.beat()).toBe('alive');
  // The files still say the other; a restart must not take that up.
  await routewall.daemon.restart('SIGKILL');
  expect(await ssh.beat()).toBe('alive');
  expect(await reach(outside, 80)).not.toBe('allowed');
  await done(routewall, 'rollback', '2');
  await becomes(outside, 80, 'allowed');
  expect((await routewall.cli('rollback', '77')).stderr).toContain('there is no revision 77; routewall history lists');
});

it('is taken back by the next daemon when the time passed while none ran', async () => {
  const { routewall, outside } = await startWeb(allow(22), 'autoApply: false\n');
  const ssh = await session(outside, 22);
  await routewall.writePolicy('containers/web.yaml', allow(80));
  await done(routewall, 'apply', '--confirm', '5s');
  // The rules come first; a daemon that is killed in between leaves the cut to the next one.
  await isCut(ssh);
  await routewall.daemon.stop('SIGKILL');
  expect(await reach(outside, 80)).toBe('allowed');
  const { exitCode, stderr } = await routewall.cli('apply');
  expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining('no daemon runs') });
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  await routewall.daemon.restart();
  expect(await reach(outside, 22)).toBe('allowed');
  expect(await reach(outside, 80)).not.toBe('allowed');
  expect(routewall.daemon.log().join('\n')).toContain('revision 2 was not confirmed and is taken back');
});

it('keeps each edit that it follows, a moment later, and tells what that opened and closed', async () => {
  const routewall = await startRoutewall({ policies: { 'containers/web.yaml': allow(22) } });
  const history = async (): Promise<string> => await done(routewall, 'history');
  await eventually('the first is kept', async () => (await history()).includes('* 1'), 10_000);
  // What the second opens is told though the container didn't run when the first was kept.
  await routewall.start(await routewall.addContainer('web', { lines: nic(addressesOf(20)) }));
  for (const [number, ports] of [
    [2, [22, 80]],
    [3, [22, 81]],
  ] as const) {
    await routewall.writePolicy('containers/web.yaml', allow(...ports));
    await eventually(`${number} is kept`, async () => (await history()).includes(`* ${number}`), 10_000);
  }
  await eventually('what the last opened is told', async () => /tcp\/81 now allowed/.test(await history()), 10_000);
  const lines = (await history()).split('\n').map((line) => line.replace(/ {2}\d{4}-\S+ \S+ UTC /, ''));
  expect(lines.filter((line) => line !== '')).toEqual([
    '* 3 edited',
    '     containers/web.yaml',
    '     web: from any tcp/81 now allowed by web.yaml:3 (was dropped)',
    '     web: from any http now dropped (was allowed by web.yaml:3)',
    '  2 edited',
    '     containers/web.yaml',
    '     web: from any http now allowed by web.yaml:3 (was dropped)',
    '  1 first seen',
    '     +containers/web.yaml',
  ]);
  await routewall.writePolicy('containers/web.yaml', allow(22).replace('tcp/22', 'tcpp/22'));
  const broken = /^\* 4 .* edited, with errors in containers\/web\.yaml$/m;
  await eventually('the fourth is marked as broken', async () => broken.test(await history()), 10_000);
  expect(await done(routewall, 'history', '4')).toMatch(/^\+\+\+ 4\/policies\/containers\/web\.yaml$/m);
  await done(routewall, 'rollback', '3');
  expect(await history()).toMatch(/^\* 5 .* rolled back to 3 by root$/m);
  expect((await routewall.cli('apply')).exitCode).toBe(1);
  expect(await history()).toMatch(/^\* 6 .* applied by root, with errors in containers\/web\.yaml$/m);
});

it('follows files unless they were rolled back, until they change again', async () => {
  const { routewall, outside } = await startWeb(allow(22), '');
  await eventually('the first is kept', async () => (await done(routewall, 'history')).includes('* 1'));
  await routewall.writePolicy('containers/web.yaml', allow(22, 80));
  await becomes(outside, 80, 'allowed');
  expect(await done(routewall, 'apply')).toMatch(/^nothing to apply: revision 2 is in force/);
  await done(routewall, 'rollback', '1');
  await becomes(outside, 80, 'dropped');
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await routewall.daemon.restart(signal);
    expect(await reach(outside, 80)).toBe('dropped');
  }
  await routewall.statusTells(/revision 3 is in force; containers\/web.yaml differs .*taken back/);
  // A container that comes now is served by what is in force.
  const late = await routewall.addContainer('late', { lines: nic(addressesOf(30)), policy: allow(22, 80, 81) });
  await routewall.start(late);
  await becomes(outside, 80, 'allowed');
});
