/** The Debian package as a file: the same bytes each time, clean, and complete. What it does is shown on Debian hosts. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

const root = new URL('../..', import.meta.url).pathname;
const name = `routewall_${packageJson.version}_all.deb`;

let folder = '';
let tree = '';

const build = (out: string, umask: string): Promise<unknown> =>
  execa('sh', ['-c', `umask ${umask}; exec node scripts/package.mjs --out "$1"`, 'sh', out], {
    cwd: root,
    env: { SOURCE_DATE_EPOCH: '1767225600' },
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-package-test-'));
  tree = join(folder, 'tree');
  await build(folder, '022');
  await execa('dpkg-deb', ['--raw-extract', join(folder, name), tree]);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** All that is executable is sh. */
const SHELL = [
  ...['DEBIAN/postinst', 'DEBIAN/prerm', 'DEBIAN/postrm'],
  ...['guard', 'hook', 'load-beside', 'prepare-xtables', 'static-rules'].map((name) => `usr/lib/routewall/${name}`),
  ...['usr/lib/systemd/system-generators/routewall-generator', 'usr/sbin/routewall'],
];

const inTree = (path: string): string => join(tree, path);

test('is the same bytes when it is built again, also under another umask', async () => {
  await build(join(folder, 'again'), '077');
  const [first, second] = [await readFile(join(folder, name)), await readFile(join(folder, 'again', name))];
  expect(first.equals(second)).toBe(true);
}, 120_000);

test('gives lintian nothing to say', async () => {
  const { stdout } = await execa('lintian', ['--allow-root', '--fail-on', 'error', join(folder, name)]);
  expect(stdout).toBe('');
}, 120_000);

test('holds what an administrator expects where Debian expects it', async () => {
  const { stdout } = await execa('find', ['.', '-type', 'f', '-printf', '%P %m\n'], { cwd: tree });
  const modes = new Map(stdout.split('\n').map((line) => [line.split(' ')[0], line.split(' ')[1]]));
  const programs = [...modes].flatMap(([path = '', mode]) => (mode === '755' ? [path] : []));
  expect(programs.sort()).toEqual([...SHELL].sort());
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

test('keeps every file below /etc when the administrator has changed it', async () => {
  const { stdout } = await execa('find', ['etc', '-type', 'f'], { cwd: tree });
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
  const bundle = await readFile(inTree('usr/lib/routewall/routewall.mjs'), 'utf8');
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

test('has shell scripts in which shellcheck finds nothing', async () => {
  for (const script of SHELL) await execa('sh', ['-n', inTree(script)]);
  await execa('shellcheck', SHELL.map(inTree));
  const completion = inTree('usr/share/bash-completion/completions/routewall');
  await execa('bash', ['-n', completion]);
  await execa('shellcheck', ['-s', 'bash', completion]);
});

/** What bash would offer for the last of the words, which are as it breaks them. */
async function complete(words: readonly string[]): Promise<string[]> {
  const script = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _routewall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const file = inTree('usr/share/bash-completion/completions/routewall');
  const { stdout } = await execa('bash', ['-c', script, 'bash', file, ...words]);
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
});

test('completes the names of containers', async () => {
  const lxc = join(folder, 'lxc');
  await execa('mkdir', ['-p', join(lxc, 'web'), join(lxc, 'no-container')]);
  await writeFile(join(lxc, 'web/config'), '');
  expect(await complete(['routewall', '-P', lxc, 'list', '-n', ''])).toEqual(['web']);
  expect(await complete(['routewall', '-P', lxc, 'explain', '--from', 'container', ':', 'w'])).toEqual(['web']);
  expect(await complete(['routewall', '-P', lxc, 'explain', '--to', 'container', ':'])).toEqual(['web']);
  expect(await complete(['routewall', 'explain', '--to', 'h'])).toEqual(['host']);
});

test('has examples that the program accepts once they are switched on', async () => {
  const policies = join(folder, 'policies');
  await execa('cp', ['-r', inTree('etc/routewall'), policies]);
  for (const sub of ['containers', 'profiles', 'sets']) {
    for (const file of (await readdir(join(policies, sub))).filter((entry) => entry.endsWith('.sample'))) {
      await execa('mv', [join(policies, sub, file), join(policies, sub, file.replace(/\.sample$/, ''))]);
    }
  }
  const config = join(policies, 'routewall.yaml');
  await writeFile(config, (await readFile(config, 'utf8')).replace(/^#(?=[a-z]\w*:)/gim, ''));
  const lxc = join(folder, 'routers');
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

/** Runs commands in a network namespace of their own. */
const guarded = (...commands: readonly string[]): Promise<{ stdout: string }> =>
  execa('unshare', ['--net', 'sh', '-euc', commands.join('\n')]);

/** The script with the paths of this tree, and before its own programs those of another folder. */
async function guardOf(lastGood: string, programs = ''): Promise<string> {
  const text = await readFile(inTree('usr/lib/routewall/guard'), 'utf8');
  const path = join(folder, 'guard');
  const moved = text
    .replaceAll('/var/lib/routewall/last-good', lastGood.replace(/\.nft$/, ''))
    .replaceAll('/usr/lib/routewall/guard.', inTree('usr/lib/routewall/guard.'))
    .replace('/usr/lib/routewall/static-rules', await staticRules())
    .replace('PATH=', `PATH=${programs}:`);
  await writeFile(path, moved, { mode: 0o755 });
  return path;
}

const lxcPath = (): string => join(folder, 'lxc');

async function staticRules(): Promise<string> {
  const text = await readFile(inTree('usr/lib/routewall/static-rules'), 'utf8');
  const path = join(folder, 'static-rules');
  const moved = text.replace('/var/lib/lxc', lxcPath()).replace('/usr/lib/routewall', inTree('usr/lib/routewall'));
  await writeFile(path, moved, { mode: 0o755 });
  return path;
}

test.each([
  ['no container', undefined, false],
  ['a routed veth', 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 192.0.2.1/32\n', false],
  ['a macvlan', 'lxc.net.0.type = macvlan\nlxc.net.0.link = eth0\n', false],
  ['a veth that LXC routes', 'lxc.net.0.type = veth\nlxc.net.0.veth.mode=router\nlxc.net.0.link = eth0\n', false],
  ['a link that is taken back', 'lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.link =\n', false],
  ['a comment', '# lxc.net.0.type = veth\n# lxc.net.0.link = br0\n', false],
  ['a link of another NIC', 'lxc.net.0.type = veth\nlxc.net.1.type = macvlan\nlxc.net.1.link = eth0\n', false],
  ['a veth on a bridge', '\tlxc.net.3.type=veth\nlxc.net.3.flags = up\n  lxc.net.3.link = "lxcbr0"\n', true],
])('the static guard shuts bridges where a configuration has one: %s', async (_, config, isShut) => {
  await rm(lxcPath(), { recursive: true, force: true });
  await mkdir(join(lxcPath(), 'any'), { recursive: true });
  if (config !== undefined) await writeFile(join(lxcPath(), 'any/config'), config);
  const missing = join(folder, 'missing.nft');
  const { stdout } = await guarded(`${await guardOf(missing)} 2>/dev/null`, 'nft list ruleset');
  expect(stdout).toContain('table inet routewall {');
  const [, bridge = ''] = /^table bridge routewall \{([\s\S]*?)^\}/m.exec(stdout) ?? [];
  expect(bridge.match(/[io]ifname "veth\*" drop$/gm) ?? []).toHaveLength(isShut ? 3 : 0);
  await rm(lxcPath(), { recursive: true });
});

test('the static guard is kept from no container by what lies in the place of another configuration', async () => {
  await rm(lxcPath(), { recursive: true, force: true });
  for (const name of ['a-dangling', 'b-fifo', 'c-folder', 'd=binary', 'e-good'])
    await mkdir(join(lxcPath(), name), { recursive: true });
  await symlink('/nowhere', join(lxcPath(), 'a-dangling/config'));
  await execa('mkfifo', [join(lxcPath(), 'b-fifo/config')]);
  await mkdir(join(lxcPath(), 'c-folder/config'));
  await writeFile(join(lxcPath(), 'd=binary/config'), Buffer.from([0, 0xff, 0x0a, 0]));
  await writeFile(join(lxcPath(), 'e-good/config'), 'lxc.net.0.type = veth\nlxc.net.0.link = br0\n');
  const { stdout } = await execa(await staticRules(), [], { timeout: 5_000 });
  expect(stdout).toBe(inTree('usr/lib/routewall/guard-bridges.nft'));
  await rm(lxcPath(), { recursive: true });
});

test('shuts containers by the static guard where there is no last ruleset, or a broken one', async () => {
  const broken = join(folder, 'broken.nft');
  const whole = await readFile(inTree('usr/lib/routewall/guard.nft'), 'utf8');
  for (const text of [
    undefined,
    '',
    whole.slice(0, 900),
    whole.replace('iifname @veths drop', 'iifname @nothing drop'),
  ]) {
    await (text === undefined ? rm(broken, { force: true }) : writeFile(broken, text));
    const { stdout } = await guarded(`${await guardOf(broken)} 2>/dev/null`, 'nft list ruleset');
    expect(stdout.match(/iifname "veth\*" (?:drop|goto guard_drop)$/gm)).toHaveLength(5);
  }
});

test('prefers the last ruleset, and changes nothing where one is in force', async () => {
  const lastGood = join(folder, 'last-good.nft');
  const whole = await readFile(inTree('usr/lib/routewall/guard.nft'), 'utf8');
  await writeFile(lastGood, whole.replace('chain related {', 'chain related {\n\t\tcounter comment "the last one"'));
  const guard = await guardOf(lastGood);
  const { stdout } = await guarded(`${guard} 2>/dev/null`, 'nft list ruleset', 'echo ---', guard, 'nft list ruleset');
  const [first, second] = stdout.split('\n---\n');
  expect(first).toContain('comment "the last one"');
  expect(second).toBe(first);
});

const SAVE = [
  'iptables-legacy-save',
  'ip6tables-legacy-save',
  "ipset save | sed 's/ hashsize .*//' | sort",
  'arptables-legacy -L -n',
];
const STATIC_NFT = /iifname "veth\*" (?:drop|goto guard_drop)$/gm;

describe('where iptables served last', () => {
  const lastGood = (): string => join(folder, 'by-iptables.nft');
  const scriptText = async (): Promise<string> => await readFile(inTree('usr/lib/routewall/guard.iptables'), 'utf8');
  /** As the guard leaves the host: the rules of iptables, and nft's. */
  async function guard(...before: readonly string[]): Promise<readonly string[]> {
    const script = await guardOf(lastGood());
    const { stdout } = await guarded(...before, `${script} 2>/dev/null`, ...SAVE, 'echo ---', 'nft list ruleset');
    return stdout.replaceAll(/^#.*\n|\[\d+:\d+\]$/gm, '').split('\n---');
  }
  const write = (text: string): Promise<void> => writeFile(lastGood().replace(/nft$/, 'iptables'), text);

  test('loads its rules, and changes nothing where they are in force', async () => {
    await write((await scriptText()).replaceAll('veth+', 'lastly+'));
    const [xt = '', nft] = await guard();
    expect(xt.match(/^-A RW-GUARD-FROM -i lastly\+ -j DROP$/gm)).toHaveLength(4);
    expect(nft).not.toMatch(/routewall/);
    expect(await guard(`${await guardOf(lastGood())} 2>/dev/null`)).toEqual([xt, nft]);
  });

  test.each([
    { what: 'are cut off', change: (text: string) => text.slice(0, -20) },
    { what: 'are wrong for one family', change: (text: string) => text.replace('-s fe80::/10 -p', '-s fe80::/x -p') },
    { what: 'need a set that is not made', change: (text: string) => text.replace(/^create RW-owned6.*$/m, '') },
  ])('shuts by nftables where its rules $what', async ({ change }) => {
    const text = await scriptText();
    expect(change(text)).not.toBe(text);
    await write(change(text));
    expect((await guard())[1]?.match(STATIC_NFT)).toHaveLength(5);
  });

  test('prefers the rules of nftables where those are younger', async () => {
    await write(await scriptText());
    await execa('touch', ['-d', 'yesterday', lastGood().replace(/nft$/, 'iptables')]);
    await execa('cp', [inTree('usr/lib/routewall/guard.nft'), lastGood()]);
    const [xt, nft] = await guard();
    expect(xt).not.toContain('RW-');
    expect(nft?.match(STATIC_NFT)).toHaveLength(5);
  });
});

test.each([
  { what: 'puts the rules of iptables-nft back', change: (text: string) => text, isBack: true },
  { what: 'shuts by nftables where they fail', change: (text: string) => text.replace('-d', '-x'), isBack: false },
])('a flush by nftables.service $what', async ({ change, isBack }) => {
  const [script, rules, conf] = ['load-beside', 'flushed.iptables', 'flush.conf'].map((name) => join(folder, name));
  if (script === undefined || rules === undefined || conf === undefined) throw new Error('no paths');
  const text = (await readFile(inTree('usr/lib/routewall/guard.iptables'), 'utf8'))
    .replaceAll('-legacy', '-nft')
    .replace('COMMIT', '-A RW-GUARD-FROM -d 192.0.2.9 -j DROP\nCOMMIT');
  await writeFile(rules, text);
  await writeFile(conf, 'flush ruleset\ntable inet somebody { }\n');
  const moved = (await readFile(inTree('usr/lib/routewall/load-beside'), 'utf8'))
    .replaceAll('/var/lib/routewall/last-good.iptables', rules)
    .replaceAll('/usr/lib/routewall/guard.nft', inTree('usr/lib/routewall/guard.nft'));
  await writeFile(script, moved, { mode: 0o755 });
  await writeFile(`${rules}.next`, change(text));
  const { stdout } = await guarded(
    ...[`sh ${rules}`, `cp ${rules}.next ${rules}`, `${script} ${conf}`],
    ...['iptables-nft-save', 'ip6tables-nft-save', 'nft list tables'],
  );
  expect(stdout).toContain('table inet somebody');
  expect(stdout.match(/^-A RW-GUARD-FROM -i veth\+ -j DROP$/gm) ?? []).toHaveLength(isBack ? 4 : 2);
  expect(stdout.includes('table inet routewall')).toBe(!isBack);
});

test('shuts containers by the old iptables on a kernel without nf_tables', async () => {
  const programs = join(folder, 'programs');
  await execa('mkdir', ['-p', programs]);
  const refuse = "#!/bin/sh\necho 'netlink: Error: cache initialization failed: Protocol not supported' >&2\nexit 1\n";
  await writeFile(join(programs, 'nft'), refuse, { mode: 0o755 });
  const { stdout } = await guarded(`${await guardOf(join(folder, 'none.nft'), programs)} 2>/dev/null`, ...SAVE);
  expect(stdout.match(/^-A RW-GUARD-FROM -i veth\+ -j DROP$/gm)).toHaveLength(4);
  expect(stdout.match(/^-A RW-GUARD-TO -o veth\+ -j DROP$/gm)).toHaveLength(2);
  expect(stdout).toMatch(/^-j DROP -i veth\+/m);
});
