/** Shared options that a command can't honour: refused before it does anything, and not in its help. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../../../controller/commands/run.ts';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

test.each([
  ['--state state.json panic on', 'panic: seals the live host; --state is for check, list, render, '],
  ['panic off --state state.json', 'panic: seals the live host; --state is for '],
  [
    '--policies draft apply',
    'apply: takes the files that the daemon serves, all of them; --policies is for daemon, check',
  ],
  ['-n web apply', 'apply: takes the files that the daemon serves, all of them; -n is for check, list, '],
  ['confirm -P lxc', 'confirm: keeps what the daemon has in force; -P is for '],
  ['rollback 3 -n web', 'rollback: takes a revision that the daemon has kept, all of it; -n is for '],
  ['-n nobody history', 'history: lists what the daemon has kept; -n is for '],
  ['daemon --once -n web', 'daemon: serves the live host, with all of its containers; -n is for '],
  ['daemon --once --state state.json', 'daemon: serves the live host, with all of its containers; --state is for '],
  ['doctor --state state.json', 'doctor: examines the live host; --state is for '],
  ['status --state state.json', 'status: is about what this host enforces; --state is for '],
  ['explain --from host --to container:web ssh -n web', 'explain: is about the flow from --from to --to alone; -n is '],
  ['map --in-force --state state.json', '--in-force asks the live host, for which --state stands in'],
  [
    'import incus acl.yaml --config x.yaml',
    'import: reads the file that it is given, and nothing of a host; --config ',
  ],
  ['check pol/containers/web.yaml -n db', 'check: a file that is named is checked whole; leave out -n, or the files'],
])('%s is wrong usage', async (words, message) => {
  const run = () => Promise.reject(new CommandError('something was done'));
  const { exitCode, out, err } = await bed.cli(words, { run, env: { STATE_DIRECTORY: bed.folder } });
  expect([exitCode, out]).toEqual([2, '']);
  expect(err).toContain(message);
});

const FILES = ['--config', '--policies', '--lxc-path'];

test.each([
  ['daemon', FILES],
  ['list', [...FILES, '--name', '--json', '--state']],
  ['explain', [...FILES, '--json', '--state']],
  ['status', [...FILES, '--name', '--json']],
  ['panic', [...FILES, '--name', '--json']],
  ['doctor', [...FILES, '--name', '--json']],
  ['import', ['--name', '--json']],
  ['apply', ['--json']],
  ['history', ['--json']],
])('%s --help lists what it honours', async (command, honoured) => {
  const { out } = await bed.cli(`${command} --help`);
  const [, listed = ''] = out.split('Global Options:\n');
  const flags = [...listed.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag);
  expect(flags).toEqual(['--version', ...honoured, '--no-color']);
});

test('--state is advised where it spares the question that was refused', async () => {
  const run = () => Promise.reject(new CommandError('ip: Operation not permitted'));
  const refused = async (words: string) =>
    (await bed.cli(`${words} --policies pol -P lxc`, { run, isRoot: false })).err;
  expect(await refused('list')).toMatch(/Operation not permitted; run it as root, or give --state FILE$/m);
  expect(await refused('preview')).toMatch(/Operation not permitted; run it as root$/m);
  expect(await refused('doctor')).toMatch(/Operation not permitted; run it as root$/m);
});

test.each(['map', 'denials', 'doctor', 'render', 'learn -n web'])(
  '%s advises root where LXC refuses',
  async (words) => {
    const run = () => Promise.reject(new CommandError('lxc-info --name=web: Insufficent privileges to control /v:web'));
    const { exitCode, err } = await bed.cli(`${words} --policies pol -P lxc`, { run, isRoot: false });
    expect(exitCode).toBe(3);
    expect(err).toMatch(/control \/v:web; run it as root(, or give --state FILE)?$/m);
  },
);
