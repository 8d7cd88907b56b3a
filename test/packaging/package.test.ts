/** The Debian package as a file: the same bytes each time, clean, and complete. What it does is shown on Debian hosts. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { catalogue } from '../../policies/catalogue.ts';
import { buildInto, packageFile, root, unpackedPackage } from './unpacked-package.ts';

const unpacked = unpackedPackage();
const { inTree } = unpacked;

/** All that is executable is one or the other. */
const PERL = ['usr/lib/routewall/hook'];
const SHELL = [
  ...['DEBIAN/postinst', 'DEBIAN/prerm', 'DEBIAN/postrm'],
  ...['guard', 'load-beside', 'prepare-xtables', 'static-rules'].map((name) => `usr/lib/routewall/${name}`),
  ...['usr/lib/systemd/system-generators/routewall-generator', 'usr/sbin/routewall'],
];

test('is the same bytes when it is built again, also under another umask', async () => {
  await buildInto(join(unpacked.folder, 'again'), '077');
  const [first, second] = [
    await readFile(join(unpacked.folder, packageFile)),
    await readFile(join(unpacked.folder, 'again', packageFile)),
  ];
  expect(first.equals(second)).toBe(true);
}, 120_000);

test('gives lintian nothing to say', async () => {
  const { stdout } = await execa('lintian', ['--allow-root', '--fail-on', 'error', join(unpacked.folder, packageFile)]);
  expect(stdout).toBe('');
}, 120_000);

test('holds what an administrator expects where Debian expects it', async () => {
  const { stdout } = await execa('find', ['.', '-type', 'f', '-printf', '%P %m\n'], { cwd: inTree('') });
  const modes = new Map(stdout.split('\n').map((line) => [line.split(' ')[0], line.split(' ')[1]]));
  const programs = [...modes].flatMap(([path = '', mode]) => (mode === '755' ? [path] : []));
  expect(programs.sort()).toEqual([...SHELL, ...PERL].sort());
  for (const path of [
    'etc/routewall/routewall.yaml',
    'etc/iproute2/rt_protos.d/routewall.conf',
    'usr/lib/routewall/routewall.mjs',
    'usr/lib/routewall/graphviz.mjs',
    'usr/lib/routewall/guard.nft',
    'usr/lib/routewall/guard-bridges.nft',
    'usr/lib/routewall/guard.iptables',
    'usr/lib/systemd/system/routewall.service',
    'usr/lib/systemd/system/routewall-guard.service',
    'usr/share/dbus-1/system.d/org.routewall.Controller1.conf',
    'usr/share/routewall/policy.schema.json',
    'usr/share/doc/routewall/copyright',
    'usr/share/doc/routewall/changelog.gz',
    'usr/share/man/man8/routewall.8.gz',
    'usr/share/man/man5/routewall.yaml.5.gz',
    'usr/share/man/man5/routewall-policy.5.gz',
    'usr/share/bash-completion/completions/routewall',
  ]) {
    expect(modes.get(path), path).toBe('644');
  }
});

test('brings the pages that it names, plain, and what they link to', async () => {
  const doc = inTree('usr/share/doc/routewall');
  const there = await readdir(doc);
  const pages = there.filter((name) => name.endsWith('.md'));
  expect(pages.sort()).toEqual((await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).sort());
  const texts = await Promise.all(pages.map((name) => readFile(join(doc, name), 'utf8')));
  const linked = texts.flatMap((text) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? ''),
  );
  expect(linked.filter((name) => !there.includes(name))).toEqual([]);
  const { stdout: named } = await execa(
    'sh',
    [
      '-c',
      `{ cat usr/lib/routewall/*.mjs usr/lib/routewall/parts/*.mjs usr/share/routewall/*; zcat usr/share/man/*/*; } | tr -d '\\\\'`,
    ],
    { cwd: inTree('') },
  );
  const names = [...named.matchAll(/\/usr\/share\/doc\/routewall\/([\w-]+\.md)/g)].map((match) => match[1] ?? '');
  expect(names).toContain('iptables.md');
  expect(names.filter((name) => !pages.includes(name))).toEqual([]);
  expect(named).not.toMatch(/(?<!\/)\bdocs\/[\w-]+\.md/);
});

test('keeps every file below /etc when the administrator has changed it', async () => {
  const { stdout } = await execa('find', ['etc', '-type', 'f'], { cwd: inTree('') });
  const conffiles = (await readFile(inTree('DEBIAN/conffiles'), 'utf8')).trim().split('\n').sort();
  expect(conffiles).toEqual(
    stdout
      .split('\n')
      .map((path) => `/${path}`)
      .sort(),
  );
});

test('names the licence of each library of which the bundle holds a part', async () => {
  const copyright = await readFile(inTree('usr/share/doc/routewall/copyright'), 'utf8');
  const { stdout: bundle } = await execa('sh', ['-c', 'cat usr/lib/routewall/*.mjs usr/lib/routewall/parts/*.mjs'], {
    cwd: inTree(''),
  });
  const libraries = new Set(
    [...bundle.matchAll(/^\/\/ (node_modules\/(?:@[^/]+\/)?[^/]+)\//gm)].map((match) => match[1]),
  );
  expect(libraries.size).toBeGreaterThan(10);
  for (const library of libraries) expect(copyright).toContain(`Files: ${library}/*\n`);
});

test('has manual pages that render without a warning', async () => {
  for (const page of ['man8/routewall.8.gz', 'man5/routewall.yaml.5.gz', 'man5/routewall-policy.5.gz']) {
    const path = inTree(`usr/share/man/${page}`);
    const { stdout, stderr } = await execa('man', ['--warnings', '-E', 'UTF-8', '-l', path], {
      env: { LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANWIDTH: '80' },
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^NAME\n +routewall[\w.-]* - \w/m);
  }
});

/** As a terminal of 80 columns shows it. */
async function manual(page: string): Promise<string> {
  const { stdout } = await execa('man', ['-E', 'UTF-8', '-l', inTree(`usr/share/man/${page}.gz`)], {
    env: { LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANWIDTH: '80' },
  });
  return stdout;
}

test('has a manual page with all that commands say of themselves', async () => {
  const program = join(root, 'dist/routewall.mjs');
  const words = (text: string) => text.replaceAll(/[-\u2010\u2011`'’]|\s+/g, '');
  const shown = words(await manual('man8/routewall.8'));
  const { stdout: all } = await execa('node', [program, '--help']);
  for (const [, name = ''] of all.slice(all.indexOf('\nCommands:')).matchAll(/^ {2}([a-z]+)\b/gm)) {
    if (name === 'help') continue;
    const { stdout } = await execa('node', [program, name, '--help']);
    const behind = stdout.slice(stdout.indexOf('\n\n', stdout.indexOf('\nGlobal Options:')));
    for (const line of behind.split('\n').filter((each) => !/^(?:Examples?:)?$/.test(each))) {
      expect(shown, `${name}: ${line}`).toContain(words(line));
    }
  }
});

test('has a manual page that lists every service with a name', async () => {
  const lines = (await manual('man5/routewall-policy.5')).split('\n');
  const isListed = (name: string, service: string) =>
    lines.some(
      (line) =>
        line
          .trim()
          .split(/,? +|: /, 2)
          .join() === `${name},${service}`,
    );
  expect([...catalogue].filter(([name, { services }]) => !isListed(name, services[0] ?? ''))).toEqual([]);
});

test('has scripts that can be read, and in which shellcheck finds nothing', async () => {
  for (const script of SHELL) await execa('sh', ['-n', inTree(script)]);
  for (const script of PERL) await execa('perl', ['-c', inTree(script)]);
  await execa('shellcheck', SHELL.map(inTree));
  const completion = inTree('usr/share/bash-completion/completions/routewall');
  await execa('bash', ['-n', completion]);
  await execa('shellcheck', ['-s', 'bash', completion]);
});

/** What bash would offer for the last of the words, which are as it breaks them. */
async function complete(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const script = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _routewall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const file = inTree('usr/share/bash-completion/completions/routewall');
  const { stdout } = await execa('bash', ['-c', script, 'bash', file, ...words], { env });
  return stdout.split('\n').filter((line) => line !== '');
}

test('completes every command that the program has, and their options', async () => {
  const { stdout } = await execa('node', [join(root, 'dist/routewall.mjs'), '--help']);
  const listed = stdout.slice(stdout.indexOf('\nCommands:')).matchAll(/^ {2}([a-z]+)\b/gm);
  const commands = [...listed].map((match) => match[1] ?? '');
  expect(commands).toContain('preview');
  expect((await complete(['routewall', ''])).sort()).toEqual(commands.sort());
  expect(await complete(['routewall', 'preview', '--ex'])).toEqual(['--exit-code']);
  expect(await complete(['routewall', 'render', '--what', 'n'])).toEqual(['nft']);
  const ofAll = ['--help', '--version', '--no-color'];
  expect((await complete(['routewall', 'apply', '--'])).sort()).toEqual([...ofAll, '--confirm', '--json'].sort());
});

test('completes choices, files and folders by what an option or argument is', async () => {
  const folder = join(unpacked.folder, 'completed');
  await execa('mkdir', ['-p', join(folder, 'in')]);
  await writeFile(join(folder, 'it.fw'), '');
  const both = [join(folder, 'in'), join(folder, 'it.fw')];
  const at = async (...words: string[]) => (await complete(['routewall', ...words])).sort();
  expect(await at('panic', '')).toEqual(['off', 'on']);
  expect(await at('-n', 'map', 'panic', '-n', 'web', 'of')).toEqual(['off']);
  expect(await at('panic', 'on', '')).toEqual([]);
  expect(await at('import', '')).toEqual(['incus', 'proxmox']);
  expect(await at('import', '--force', 'proxmox', join(folder, 'i'))).toEqual(both);
  expect(await at('import', 'proxmox', both[1] ?? '', '--cluster', join(folder, 'i'))).toEqual(both);
  expect(await at('import', 'proxmox', both[1] ?? '', '-o', join(folder, 'i'))).toEqual(both.slice(0, 1));
  expect(await at('map', '--output', join(folder, 'i'))).toEqual(both);
  expect(await at('check', '--expect-file', join(folder, 'i'))).toEqual(both);
  expect(await at('check', 'one', 'two', join(folder, 'i'))).toEqual(both);
  expect(await at('--policies', join(folder, 'i'))).toEqual(both.slice(0, 1));
  expect(await at('apply', '--confirm', '')).toEqual([]);
  expect(await at('preview', '--h')).toEqual(['--help']);
  const options = await at('preview', '-');
  expect(options).toEqual([...new Set(options)]);
});

test('completes the names of containers', async () => {
  const lxc = join(unpacked.folder, 'lxc');
  await execa('mkdir', ['-p', join(lxc, 'web'), join(lxc, 'no-container')]);
  await writeFile(join(lxc, 'web/config'), '');
  expect(await complete(['routewall', '-P', lxc, 'list', '-n', ''])).toEqual(['web']);
  expect(await complete(['routewall', '-P', lxc, 'explain', '--from', 'container', ':', 'w'])).toEqual(['web']);
  expect(await complete(['routewall', '-P', lxc, 'explain', '--to', 'container', ':'])).toEqual(['web']);
  expect(await complete(['routewall', 'explain', '--to', 'h'])).toEqual(['host']);
});

test('completes what the daemon knows: containers of its LXC paths, and revisions', async () => {
  const folder = join(unpacked.folder, 'served');
  const paths = ['one', 'two'].map((name) => join(folder, name));
  for (const [index, path] of paths.entries()) {
    await execa('mkdir', ['-p', join(path, `c${index}`), join(folder, 'revisions', `${index + 7}`)]);
    await writeFile(join(path, `c${index}/config`), '');
  }
  await writeFile(join(folder, 'status.json'), JSON.stringify({ pid: 1, serves: { policies: '/', lxcPaths: paths } }));
  const env = { RUNTIME_DIRECTORY: folder, STATE_DIRECTORY: folder };
  expect(await complete(['routewall', 'list', '-n', ''], env)).toEqual(['c0', 'c1']);
  expect(await complete(['routewall', 'list', '-P', paths[1] ?? '', '-n', ''], env)).toEqual(['c1']);
  expect(await complete(['routewall', 'history', ''], env)).toEqual(['7', '8']);
  expect(await complete(['routewall', 'rollback', '8'], env)).toEqual(['8']);
});

test('has examples that the program accepts once they are switched on', async () => {
  const policies = join(unpacked.folder, 'policies');
  await execa('cp', ['-r', inTree('etc/routewall'), policies]);
  for (const sub of ['containers', 'profiles', 'sets']) {
    for (const file of (await readdir(join(policies, sub))).filter((entry) => entry.endsWith('.sample'))) {
      await execa('mv', [join(policies, sub, file), join(policies, sub, file.replace(/\.sample$/, ''))]);
    }
  }
  const config = join(policies, 'routewall.yaml');
  const text = await readFile(config, 'utf8');
  const examples = [...text.matchAll(/^# {3}(\w+):/gm)].map(([, key]) => key);
  expect(examples).toEqual(['metrics', 'dns', 'wires']);
  // A key that has an example stands there twice.
  await writeFile(
    config,
    text
      .replace(/^# {3}(?=\w+:)/gm, '')
      .replace(/^#(\w+:)/gm, (line, key: string) => (examples.includes(key.slice(0, -1)) ? line : key)),
  );
  const lxc = join(unpacked.folder, 'routers');
  for (const name of ['r1', 'r2']) {
    await execa('mkdir', ['-p', join(lxc, name)]);
    await writeFile(join(lxc, name, 'config'), 'lxc.net.1.type = veth\nlxc.net.1.name = eth1\n');
  }
  const files = ['--config', config, '--policies', policies, '-P', lxc];
  const { stdout } = await execa('node', [join(root, 'dist/routewall.mjs'), 'check', ...files], {
    reject: false,
    all: true,
  });
  expect(stdout).toContain('no errors');
});
