/** One bad file harms one container: it keeps its last good policy or stays shut, and everybody else goes on. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe } from '../../sandbox/services.ts';
import { readOwnState } from './kernel-state.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const allow = (port: number, more = ''): string => `${more}egress: { rules: [{ allow: tcp/${port}, to: any }] }\n`;
const PORTS = [80, 81, 82] as const;

async function makeBed(policies: Readonly<Record<string, string>> = {}, config = ''): Promise<Routewall> {
  const routewall = await startRoutewall({ policies, config });
  await listen(routewall.bed.outside, ...PORTS.map((port) => ({ protocol: 'tcp' as const, port })));
  return routewall;
}

async function run(routewall: Routewall, name: string, last: number, policy?: string): Promise<Container> {
  const container = await routewall.addContainer(name, {
    lines: nic(addressesOf(last)),
    ...(policy === undefined ? {} : { policy }),
  });
  await routewall.start(container);
  return container;
}

/** Which of the ports the container reaches. */
async function reaches(container: Container): Promise<number[]> {
  const inside = await container.inside();
  const outcomes = await Promise.all(
    PORTS.map((port) => probe(inside, { protocol: 'tcp', to: '192.0.2.2', port, timeout: 600 })),
  );
  return PORTS.filter((_, at) => outcomes[at] === 'allowed');
}

const becomes = async (container: Container, ports: readonly number[]): Promise<void> => {
  await eventually(`${container.name} reaches ${ports}`, async () => `${await reaches(container)}` === `${ports}`);
};

const said = ({ daemon }: Routewall, pattern: RegExp, after: number): Promise<string> =>
  daemon.child().waitForLine(pattern, { after });

/** How a policy file can be broken, and how the daemon names the place. */
const DAMAGES: readonly (readonly [string, (file: string, bed: Routewall) => Promise<unknown>, RegExp])[] = [
  ['syntax', (file) => writeFile(file, 'egress: [\n'), /web\.yaml:\d+:\d+: error: not valid YAML/],
  ['an unknown key', (file) => writeFile(file, 'egress:\n  defualt: allow\n'), /web\.yaml:2:3: error: .*defualt/],
  [
    'an unknown container',
    (file) => writeFile(file, 'egress:\n  rules:\n    - { allow: any, to: "container:nobody" }\n'),
    /web\.yaml:3:\d+: error: .*nobody/,
  ],
  ['nothing but zeros', (file) => writeFile(file, '\0\0\0\0'), /web\.yaml:1:1: error: /],
  ['no UTF-8', (file) => writeFile(file, Buffer.from([0x61, 0xff, 0xfe])), /web\.yaml:1:\d+: error: not UTF-8/],
  [
    'a folder',
    // At once: between two commands the daemon may find no policy at all, which is another story.
    async (file) => {
      rmSync(file);
      mkdirSync(file);
    },
    /web\.yaml:1:1: error: /,
  ],
  [
    'a link to nothing',
    async (file, { bed }) => bed.host.run('ln', ['-sfn', '/nowhere', file]),
    /web\.yaml:1:1: error: .*link/,
  ],
  [
    'a pipe',
    async (file, { bed }) => bed.host.run('sh', ['-c', `mkfifo ${file}.pipe; mv ${file}.pipe ${file}`]),
    /web\.yaml:1:1: error: .*no regular file/,
  ],
  [
    'an opening that all can write',
    async (file, { bed }) =>
      bed.host.run('sh', ['-c', `chmod 646 ${file}; echo 'egress: { default: allow }' >${file}`]),
    /web\.yaml:1:1: error: not trusted: all can write to it/,
  ],
  [
    "an opening of somebody else's",
    // At once: until its owner changed it would be root's, and good.
    async (file, { bed }) =>
      bed.host.run('sh', [
        '-c',
        `echo 'egress: { default: allow }' >${file}.new; chown 65534 ${file}.new; mv ${file}.new ${file}`,
      ]),
    /web\.yaml:1:1: error: not trusted: it belongs to user 65534/,
  ],
];

test('a folder of policies that is away changes nothing, also for a new daemon; an empty one says that there are none', async () => {
  const routewall = await makeBed({}, 'withoutPolicy: open\n');
  const { bed, policyFolder } = routewall;
  const [folder, away] = [join(policyFolder, 'containers'), join(policyFolder, 'away')];
  const web = await run(routewall, 'web', 10, allow(80));
  const late = await routewall.addContainer('late', { lines: nic(addressesOf(11)), policy: allow(81) });
  const good = await readOwnState(bed.host);
  await eventually('they are kept', async () => (await routewall.cli('history')).stdout.includes('late.yaml'));
  const waits = (): Promise<unknown> =>
    eventually('it is told', async () => (await routewall.cli('status')).stdout.includes('containers/ is there'));
  await rename(folder, away);
  await waits();
  expect(await readOwnState(bed.host)).toEqual(good);
  expect((await routewall.cli('apply')).stderr).toContain('containers/ is missing: an empty one says');
  await routewall.daemon.restart('SIGKILL');
  await waits();
  expect(await readOwnState(bed.host)).toEqual(good);
  await routewall.start(late);
  await becomes(late, [81]);
  // Back, and away again, however fast: nothing is ever taken for deleted.
  for (let times = 0; times < 20; times += 1) {
    await rename(away, folder);
    await rename(folder, away);
  }
  await rename(away, folder);
  await eventually('it is back', async () => !(await routewall.cli('status')).stdout.includes('containers/ is'));
  expect(routewall.daemon.log().filter((line) => / (?:cut|removed) /.test(line))).toEqual([]);
  await rename(folder, away);
  await mkdir(folder);
  await becomes(web, PORTS);
  await rm(folder, { recursive: true });
  await rename(away, folder);
  await becomes(web, [80]);
});

test('a file that breaks in any way leaves its container what it had, and touches nobody else', async () => {
  const routewall = await makeBed();
  const { bed, policyFolder } = routewall;
  const file = join(policyFolder, 'containers/web.yaml');
  const web = await run(routewall, 'web', 10, allow(80));
  const other = await run(routewall, 'other', 11, allow(81));
  const good = await readOwnState(bed.host);
  for (const [what, damage, place] of DAMAGES) {
    const after = routewall.mark();
    await damage(file, routewall);
    const line = await said(routewall, place, after);
    expect(await readOwnState(bed.host), what).toEqual(good);
    expect(line, what).toMatch(/ error: /);
    // Both read the same problems the same way, whatever they are.
    if (/^(syntax|a pipe)$/.test(what)) {
      const check = await routewall.cli('check');
      expect([check.exitCode, check.stdout + check.stderr], what).toEqual([1, expect.stringMatching(place)]);
      await routewall.statusTells(place);
    }
    const healing = routewall.mark();
    await bed.host.run('rm', ['-rf', file]);
    await writeFile(file, allow(80));
    await said(routewall, /no longer: .*web\.yaml/, healing);
    // Whatever the order: between the removal and the new file a pass may have shut it, and what comes again comes last.
    await eventually('healed', async () => isDeepStrictEqual(await readOwnState(bed.host), good));
  }
  expect([await reaches(web), await reaches(other)]).toEqual([[80], [81]]);
});

test('the last good policy outlives starts, stops and the daemon; what never was good stays shut', async () => {
  const routewall = await makeBed({ 'containers/never.yaml': 'egress: [\n' });
  const web = await run(routewall, 'web', 10, allow(80));
  const never = await run(routewall, 'never', 11);
  expect([await reaches(web), await reaches(never)]).toEqual([[80], []]);
  const after = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', 'egress: nonsense\n');
  await said(routewall, /web\.yaml:1:\d+: error: /, after);
  await routewall.stop(web);
  await routewall.start(web);
  expect(await reaches(web)).toEqual([80]);
  const late = await run(routewall, 'late', 12, allow(81));
  expect(await reaches(late)).toEqual([81]);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await routewall.daemon.restart(signal);
    expect([await reaches(web), await reaches(late), await reaches(never)]).toEqual([[80], [81], []]);
  }
  await routewall.writePolicy('containers/web.yaml', allow(82));
  await routewall.writePolicy('containers/never.yaml', allow(80));
  await becomes(web, [82]);
  await becomes(never, [80]);
  // Deleting the file takes the policy back; what was good before must not return with the next mistake.
  await routewall.writePolicy('containers/web.yaml', undefined);
  await becomes(web, []);
  await routewall.writePolicy('containers/web.yaml', 'egress: nonsense\n');
  await said(routewall, /web\.yaml:1:\d+: error: /, routewall.mark() - 1);
  expect(await reaches(web)).toEqual([]);
  await routewall.daemon.restart();
  expect(await reaches(web)).toEqual([]);
});

test('a kill before the record is written brings back nothing that the policy in force has taken away', async () => {
  const routewall = await makeBed();
  const { daemon, env } = routewall;
  const web = await run(routewall, 'web', 10, allow(80));
  const records = join(env['STATE_DIRECTORY'] ?? '', 'last-good');
  await eventually('kept', async () => existsSync(join(records, 'web.json')));
  // As if the kill came at this write: no file can be made in a folder's place.
  await mkdir(join(records, 'web.json.new'));
  await routewall.writePolicy('containers/web.yaml', allow(81));
  await becomes(web, [81]);
  await daemon.stop('SIGKILL');
  await routewall.writePolicy('containers/web.yaml', 'egress: nonsense\n');
  await daemon.restart();
  await routewall.statusTells(/web\.yaml: broken, last good one/);
  expect(await reaches(web)).toEqual([81]);
});

test('a broken profile, set or services file harms only those that use it', async () => {
  const shared: Readonly<Record<string, string>> = {
    'profiles/base.yaml': allow(80),
    'sets/mirrors.txt': '192.0.2.2\n',
    'services.yaml': 'mine: tcp/82\n',
  };
  const routewall = await makeBed(shared);
  const users = [
    [await run(routewall, 'profile', 10, allow(81, 'use: [base]\n')), [80, 81]],
    [await run(routewall, 'set', 11, 'egress: { rules: [{ allow: tcp/81, to: "set:mirrors" }] }\n'), [81]],
    [await run(routewall, 'service', 12, 'egress: { rules: [{ allow: mine, to: any }] }\n'), [82]],
    [await run(routewall, 'none', 13, allow(80)), [80]],
  ] as const;
  const good = await readOwnState(routewall.bed.host);
  const broken = {
    'profiles/base.yaml': 'egress: 7\n',
    'sets/mirrors.txt': '192.0.2.2\n300.1.1.1\n',
    'services.yaml': 'mine: tcp/99999\n',
  };
  for (const [path, text] of Object.entries(broken)) {
    const after = routewall.mark();
    await routewall.writePolicy(path, text);
    await said(routewall, new RegExp(`${path.replace('.', '\\.')}:\\d+:\\d+: error: `), after);
    expect(await readOwnState(routewall.bed.host), path).toEqual(good);
    // Who doesn't use it can still be changed.
    await routewall.writePolicy('containers/none.yaml', allow(81));
    await becomes(users[3][0], [81]);
    await routewall.writePolicy('containers/none.yaml', allow(80));
    await becomes(users[3][0], [80]);
    await routewall.writePolicy(path, shared[path]);
    await said(routewall, new RegExp(`no longer: .*${path}`), after);
  }
  for (const [container, ports] of users) expect(await reaches(container)).toEqual(ports);
});

test('an edit takes effect without touching anybody else, and five hundred edits cost few writes', async () => {
  const routewall = await makeBed();
  const { bed, policyFolder } = routewall;
  const web = await run(routewall, 'web', 10, allow(80));
  const other = await run(routewall, 'other', 11, allow(81));
  await listen(await other.inside(), { protocol: 'tcp', port: 22 });
  const flow = await openFlow(await other.inside(), { protocol: 'tcp', to: '192.0.2.2', port: 81, timeout: 3_000 });
  const veth = await other.hostVeth();
  expect(await flow.beat()).toBe('alive');
  const monitor = bed.host.spawn('nft', ['monitor']);
  await eventually('nft monitor listens', async () => {
    await bed.host.run('nft', ['add', 'table', 'ip', 'somebody']);
    await bed.host.run('nft', ['delete', 'table', 'ip', 'somebody']);
    return monitor.lines.length > 0;
  });
  await routewall.writePolicy('containers/web.yaml', allow(82));
  await becomes(web, [82]);
  expect(monitor.lines.filter((line) => line.includes(veth))).toEqual([]);
  const begin = monitor.lines.filter((line) => line.startsWith('# new generation')).length;
  for (let round = 0; round < 500; round += 1)
    await writeFile(
      join(policyFolder, 'containers/web.yaml'),
      round % 3 === 0 ? 'egress: [' : allow(PORTS[round % 2] ?? 80),
    );
  await routewall.writePolicy('containers/web.yaml', allow(81));
  await becomes(web, [81]);
  await sleep(300);
  expect(monitor.lines.filter((line) => line.startsWith('# new generation')).length - begin).toBeLessThan(100);
  expect(monitor.lines.filter((line) => line.includes(veth))).toEqual([]);
  expect(await flow.beat()).toBe('alive');
});
