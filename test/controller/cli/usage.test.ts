/** Options, exit statuses and the state file: what a user meets before any answer. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasTrouble } from '../../../controller/cli/status.ts';
import { CommandError } from '../../../controller/commands/run.ts';
import { readProcessStart } from '../../../controller/status/process-start.ts';
import { writeStatusFile } from '../../../controller/status/status-file.ts';
import type { StatusFile } from '../../../controller/status/status-shape.ts';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

const commands = ['daemon', 'check', 'list', 'render', 'preview', 'explain', 'status', 'map', 'import'] as const;

describe('the command line', () => {
  test.each(commands)('%s explains itself with an example', async (command) => {
    const { exitCode, out } = await bed.cli(`${command} --help`);
    expect(exitCode).toBe(0);
    expect(out).toMatch(new RegExp(`Usage: routewall ${command}`));
    expect(out).toMatch(new RegExp(`Examples?:\n {2}routewall ${command}`));
    expect(out).toContain('--no-color');
  });

  test('apply says what --confirm needs', async () => {
    expect((await bed.cli('apply --help')).out).toContain('--confirm needs `autoApply: false`');
  });

  test('takes shared options before and after the command, and repeated ones from both sides', async () => {
    const shared = '--policies pol -P lxc --state state.json';
    const after = await bed.cli(`list --json -n db -n web ${shared}`);
    const before = await bed.cli(`${shared} -n db --json list -n web`);
    expect(before.exitCode).toBe(0);
    expect(before.out).toBe(after.out);
    expect(JSON.parse(before.out)).toHaveLength(2);
  });

  test('prints its version, and help to standard error where a command is missing', async () => {
    expect(await bed.cli('--version')).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(await bed.cli('')).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('Usage:') });
  });

  test.each([
    ['lst', /unknown command 'lst'(?:.|\n)*list/],
    ['list --bogus', /unknown option '--bogus'/],
    ['list --policies nowhere', /--policies nowhere: there is no such folder/],
    ['list --config nowhere.yaml', /--config nowhere.yaml: there is no such file/],
    ['import incus nowhere.yaml', /nowhere.yaml: there is no such file\n$/],
    ['list --policies pol -P nowhere', /--lxc-path .*nowhere: there is no such folder/],
    ['list --policies pol -P lxc --state nowhere.json', /nowhere.json: there is no such file/],
    [
      'check --policies pol/containers -P lxc',
      /--policies pol\/containers: holds policies itself: give the folder above it/,
    ],
    ['list --policies pol/containers/web.yaml -P lxc', /--policies pol\/containers\/web.yaml: is a file, not a folder/],
    ['check pol/containers', /pol\/containers: is a folder: without a file's name, all policies are checked/],
    [
      'list --policies pol -P lxc --state state.json -n tinderbx',
      /no container "tinderbx"; did you mean "tinderbox"\?/,
    ],
  ])('%s is wrong usage', async (words, message) => {
    const { exitCode, out, err } = await bed.cli(words);
    expect([exitCode, out]).toEqual([2, '']);
    expect(err).toMatch(message);
  });

  test('reads nothing under a configuration that is half wrong', async () => {
    bed.write('routewall.yaml', 'lxcPaths: [relative]\n');
    const { exitCode, err } = await bed.rw('list --config routewall.yaml');
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^routewall.yaml:1:12: error: /);
  });

  test('gives 3 where the system refuses, and says what it said', async () => {
    const run = () => Promise.reject(new CommandError('nft list table inet routewall: Operation not permitted'));
    const { exitCode, err } = await bed.rw('preview', { run });
    expect(exitCode).toBe(3);
    expect(err).toContain('Operation not permitted');
  });

  test('uses colours on terminals alone, and never against NO_COLOR, --no-color or a dumb terminal', async () => {
    const coloured = async (words: string, env = {}, terminal = true) =>
      (await bed.rw(words, { terminal, env })).out.includes('\u001b[');
    expect(await coloured('list')).toBe(true);
    expect(await coloured('list', {}, false)).toBe(false);
    expect(await coloured('list', { NO_COLOR: '1' })).toBe(false);
    expect(await coloured('list', { TERM: 'dumb' })).toBe(false);
    expect(await coloured('list --no-color')).toBe(false);
  });
});

describe('the state file', () => {
  test.each([
    ['{', /no JSON/],
    ['[]', /the top: expected an object, found \[\]/],
    ['{"container":{}}', /container: unknown; known are containers, links, dns and routes/],
    ['{"containers":{"web":{"state":"running"}}}', /containers.web.state: expected STOPPED, .* found "running"/],
    ['{"containers":{"web":{"veths":{"eth0":"a b"}}}}', /containers.web.veths.eth0: "a b" is no interface name/],
    ['{"containers":{"web":{"veths":{"eth7":"veth1"}}}}', /containers.web.veths.eth7: no such NIC; it has eth0, 1/],
    ['{"containers":{"tinderbx":{}}}', /containers.tinderbx: there is no such container; did you mean "tinderbox"\?/],
    ['{"links":[{}]}', /links\[0\].ifname: expected text, found nothing/],
  ])('%s has its mistake named', async (text, message) => {
    bed.write('state.json', text);
    const { exitCode, err } = await bed.rw('list');
    expect(exitCode).toBe(1);
    expect(err).toMatch(message);
  });
});

describe('status', () => {
  const unprivileged = { RUNTIME_DIRECTORY: '' };
  const emptyKernel = (command: string, args: readonly string[]) => {
    const missing = { stdout: '', stderr: 'Error: No such file or directory', exitCode: 1 };
    if (command === 'nft') return Promise.resolve(missing);
    if (command === 'unshare')
      return Promise.resolve({ stdout: 'table inet routewall {\n}\n', stderr: '', exitCode: 0 });
    if (command === 'perl') return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
    if (command === 'ip' && args.includes('-j')) return Promise.resolve({ stdout: '[]', stderr: '', exitCode: 0 });
    return Promise.reject(new CommandError(`${command}: not in this test`));
  };
  const statusOf = (started: number): StatusFile => ({
    pid: process.pid,
    started,
    since: '2026-01-02T03:04:05.678Z',
    enforcedAt: '2026-01-02T03:05:00.000Z',
    generation: 7,
    revision: { inForce: 3, autoApply: true, unconfirmed: null, waiting: [], reason: null },
    panic: { all: null, containers: [], damaged: null },
    containers: [
      {
        container: 'web',
        state: 'RUNNING',
        policy: { file: 'containers/web.yaml', status: 'ok', observing: null },
        since: '2026-01-02T03:04:06.000Z',
        problems: [],
        nics: [{ nic: 'eth0', hostVeth: 'vethWeb', addresses: ['198.51.100.20/32'] }],
        ends: [],
        refused: null,
      },
    ],
    sysctls: [],
    names: [],
    problems: [],
    drift: { count: 0, last: null },
    watchers: { 'lxc-monitor': 'synced' },
    serves: { config: '/etc/routewall/routewall.yaml', policies: '/etc/routewall', lxcPaths: ['/var/lib/lxc'] },
  });
  const env = () => ({ ...unprivileged, RUNTIME_DIRECTORY: bed.folder });

  test('says that no daemon runs, and what that means', async () => {
    const { exitCode, out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^not running/);
    expect(out).toContain('systemctl start routewall');
  });

  test('of a kernel that holds nothing of ours it says so, instead of all that it lacks', async () => {
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(out).toBe(
      'not running; the kernel holds no rules of ours: nothing is enforced\nstart it: systemctl start routewall\n\n' +
        'routewall preview shows what would be in force\n',
    );
    expect(
      JSON.parse((await bed.live('status --json', { env: env(), run: emptyKernel })).out).difference,
    ).toMatchObject({
      changed: true,
    });
  });

  test('tells a live daemon from a process that only has its number', async () => {
    const started = await readProcessStart(process.pid);
    await writeStatusFile(bed.folder, statusOf(started ?? 0));
    const live = await bed.live('status', { env: env(), run: emptyKernel });
    expect(live.out).toMatch(
      /^running as process \d+ since 2026-01-02 03:04:05 UTC; last enforced 2026-01-02 03:05:00/,
    );
    expect(live.out).toMatch(/\nweb +running +web.yaml +eth0 via vethWeb +2026-01-02 03:04:06 UTC\n/);
    await writeStatusFile(bed.folder, statusOf((started ?? 0) + 1));
    expect((await bed.live('status', { env: env(), run: emptyKernel })).out).toMatch(/^not running; process \d+/);
  });

  test('tells what it can not read, since when and why, and fails once that lasts', async () => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const unreadFor = (ageMs: number): StatusFile => {
      const since = new Date(Date.now() - ageMs).toISOString();
      return { ...status, unread: [{ what: 'the comparison with the kernel', since, why: 'nft: timed out' }] };
    };
    expect([status, unreadFor(2_000), unreadFor(3_600_000)].map(hasTrouble)).toEqual([false, false, true]);
    await writeStatusFile(bed.folder, unreadFor(2_000));
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(out).toMatch(/\nthe comparison with the kernel: unfinished since \S+ \S+ UTC: nft: timed out\n/);
  });

  test('of a container that the daemon does not know it does not say that all is well', async () => {
    await writeStatusFile(bed.folder, statusOf((await readProcessStart(process.pid)) ?? 0));
    const { exitCode, err } = await bed.live('status -n wep', { env: env(), run: emptyKernel });
    expect({ exitCode, err }).toEqual({
      exitCode: 2,
      err: 'routewall: the daemon knows no container "wep"; did you mean "web"?\n',
    });
  });

  test.each([
    ['last-good', null, 'web.yaml: broken, last good one'],
    ['closed', null, 'web.yaml: broken, closed'],
    ['last-good', 'web', 'web.yaml: sealed by panic'],
    ['ok', 'db', 'web.yaml'],
  ] as const)('says of a policy what the list says: %s, sealed: %s', async (policyStatus, sealed, said) => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const seal = { since: '2026-01-02T03:04:05.678Z', by: 'anne' };
    await writeStatusFile(bed.folder, {
      ...status,
      panic: { ...status.panic, containers: sealed === null ? [] : [{ container: sealed, ...seal }] },
      containers: status.containers.map((one) => ({ ...one, policy: { ...one.policy, status: policyStatus } })),
    });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(/^web +running +(.*?) {2,}eth0/m.exec(out)?.[1]).toBe(said);
  });

  test.each([
    [null, 'ECONNREFUSED', true],
    ['2026-01-02T03:04:05.678Z', 'ECONNREFUSED', false],
    [null, 'ETIMEOUT', false],
  ])('says why the service may ask no server: answered %s, %s', async (answered, error, isTold) => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const name = { name: 'deb.debian.org', addresses: [], ignored: [], answered, next: null, error };
    await writeStatusFile(bed.folder, { ...status, names: [name] });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(out.includes('without a drop-in: /usr/share/doc/routewall/dns-names.md')).toBe(isTold);
  });

  test.each([
    [1, '1 part'],
    [7, '7 parts'],
  ])('tells how much was put back, and when at last: %i', async (count, parts) => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    await writeStatusFile(bed.folder, { ...status, drift: { count, last: '2026-11-29T02:51:04.123Z' } });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(out).toContain(`\nput back what others changed: ${parts}, last 2026-11-29 02:51:04 UTC\n`);
  });

  test('says of a container without a NIC of ours what the list says, and names NICs as it does', async () => {
    bed.write('lxc/away/config', 'lxc.net.0.type = macvlan\nlxc.net.0.link = eth0\n');
    bed.write('lxc/none/config', 'lxc.net.0.type = empty\n');
    bed.write('pol/containers/away.yaml', '{}\n');
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const one = (container: string, policy: object, more: object) =>
      status.containers.map((entry) => ({
        ...{ ...entry, container, nics: [], since: null, policy: { ...entry.policy, ...policy } },
        ...more,
      }));
    const nics = [{ nic: '0', hostVeth: 'vethDb', addresses: [] }];
    const containers = [
      ...one('away', { file: 'containers/away.yaml' }, { ours: false, unenforced: ['0 (macvlan on eth0)'] }),
      ...one('none', { file: null, status: 'closed' }, { ours: false }),
      ...one('db', { file: null, status: 'closed' }, { nics }),
    ];
    await writeStatusFile(bed.folder, { ...status, containers });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    const listed = (await bed.rw('list')).out;
    for (const text of [out, listed]) {
      expect(text).toMatch(/^away +\w+ +away.yaml: not enforced +/m);
      expect(text).toMatch(/^none +\w+ +not ours +/m);
      expect(text).toMatch(/#0 \(macvlan on eth0\)/);
    }
    expect(out).toMatch(/^db +running +no file: closed +#0 via vethDb +-$/m);
  });

  test('says that saved files wait also while none does', async () => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const shown = async (revision: object) => {
      await writeStatusFile(bed.folder, { ...status, revision: { ...status.revision, ...revision } });
      return (await bed.live('status', { env: env(), run: emptyKernel })).out.split('\n')[1];
    };
    const line = 'revision 3 is in force; what is saved from now on waits for routewall apply (autoApply: false)';
    expect(await shown({ autoApply: false })).toBe(line);
    expect(await shown({})).toBe('');
    const waiting = ['a', 'b', 'c', 'd', 'e'].map((name) => `containers/${name}.yaml`);
    expect(await shown({ autoApply: false, reason: 'apply', waiting })).toBe(
      'revision 3 is in force; containers/a.yaml, containers/b.yaml, containers/c.yaml and 2 more differ from what is in force and wait for routewall apply',
    );
  });

  test('counts what runs without a policy, by what that means for it', async () => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const without = (container: string, policyStatus: 'closed' | 'open', more: object = {}) =>
      status.containers.map((one) => ({
        ...{ ...one, container, policy: { file: null, status: policyStatus, observing: null } },
        ...more,
      }));
    const stopped = { state: 'STOPPED', nics: [] };
    const containers = [...status.containers, ...without('db', 'closed'), ...without('old', 'closed', stopped)];
    await writeStatusFile(bed.folder, { ...status, containers });
    const shown = async () => (await bed.live('status', { env: env(), run: emptyKernel })).out;
    expect(await shown()).toContain('\n1 running container has no policy, and gets nothing: db\n\n');
    // Perhaps its own, by the name that it had.
    bed.write('own/containers/before.yaml', '{}\n');
    const serves = { ...status.serves, policies: `${bed.folder}/own` };
    await writeStatusFile(bed.folder, { ...status, containers, serves });
    expect(await shown()).toContain('and gets nothing: db\npolicy files for no container here: before.yaml\n');
    await writeStatusFile(bed.folder, { ...status, serves });
    expect(await shown()).not.toContain('before');
    const more = ['a', 'b', 'c', 'd'].flatMap((name) => without(name, 'open'));
    await writeStatusFile(bed.folder, { ...status, containers: more });
    expect(await shown()).toContain(
      '\n4 running containers have no policy, and may do everything: a, b, c and 1 more\n',
    );
  });

  test('names containers in order', async () => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const containers = ['web', 'db', 'app'].flatMap((container) =>
      status.containers.map((one) => ({ ...one, container })),
    );
    await writeStatusFile(bed.folder, { ...status, containers });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect([...out.matchAll(/^(\w+) +running +web.yaml/gm)].map(([, name]) => name)).toEqual(['app', 'db', 'web']);
  });

  test('counts down to the end of a rule', async () => {
    const status = statusOf((await readProcessStart(process.pid)) ?? 0);
    const until = new Date(Date.now() + (3 * 24 + 4.5) * 3_600_000).toISOString();
    const containers = status.containers.map((entry) => ({
      ...entry,
      ends: [{ file: 'containers/web.yaml', line: 4, until }],
    }));
    await writeStatusFile(bed.folder, { ...status, containers });
    const { out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(out).toMatch(/\nweb: the rule at \S*pol\/containers\/web.yaml:4 ends in 3 d 4 h \(\S+ \S+ UTC\)\n/);
  });

  test('names the problems with their places, and fails for them', async () => {
    const started = (await readProcessStart(process.pid)) ?? 0;
    const status = statusOf(started);
    const problem = { file: 'containers/web.yaml', line: 3, column: 5, message: 'wrong', severity: 'error' as const };
    const containers = status.containers.map((entry) => ({
      ...entry,
      problems: [problem],
      refused: 'its rules are refused: too long',
    }));
    await writeStatusFile(bed.folder, { ...status, containers });
    const { exitCode, out } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(exitCode).toBe(1);
    expect(out).toContain('pol/containers/web.yaml:3:5: error: wrong\n');
    expect(out).toContain('web: its rules are refused: too long\n');
  });

  test('shows what the daemon says also where the kernel or the configuration can not be read', async () => {
    await writeStatusFile(bed.folder, statusOf((await readProcessStart(process.pid)) ?? 0));
    const refusing = () => Promise.reject(new CommandError('nft: Operation not permitted'));
    const { exitCode, out } = await bed.live('status', { env: env(), run: refusing });
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^running as process/);
    expect(out).toContain('not compared with the kernel: nft: Operation not permitted');
  });

  test('refuses a status file that is none', async () => {
    bed.write('status.json', '{"pid":"x"}');
    const { exitCode, err } = await bed.live('status', { env: env(), run: emptyKernel });
    expect(exitCode).toBe(3);
    expect(err).toMatch(/status.json: pid: expected a number, found "x"/);
  });
});
