/** The boot guard, and what stands in for the rules of the last run, each in a network namespace of its own. */
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { unpackedPackage } from './unpacked-package.ts';

const unpacked = unpackedPackage();
const { inTree } = unpacked;

/** Runs commands in a network namespace of their own. */
const guarded = (...commands: readonly string[]): Promise<{ stdout: string }> =>
  execa('unshare', ['--net', 'sh', '-euc', commands.join('\n')]);

/** The script with the paths of this tree, and before its own programs those of another folder. */
async function guardOf(lastGood: string, programs = ''): Promise<string> {
  const text = await readFile(inTree('usr/lib/routewall/guard'), 'utf8');
  const path = join(unpacked.folder, 'guard');
  const moved = text
    .replaceAll('/var/lib/routewall/last-good', lastGood.replace(/\.nft$/, ''))
    .replaceAll('/usr/lib/routewall/guard.', inTree('usr/lib/routewall/guard.'))
    .replace('/usr/lib/routewall/static-rules', await staticRules())
    .replace('PATH=', `PATH=${programs}:`);
  await writeFile(path, moved, { mode: 0o755 });
  return path;
}

const lxcPath = (): string => join(unpacked.folder, 'lxc');

async function staticRules(): Promise<string> {
  const text = await readFile(inTree('usr/lib/routewall/static-rules'), 'utf8');
  const path = join(unpacked.folder, 'static-rules');
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
  const missing = join(unpacked.folder, 'missing.nft');
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
  const broken = join(unpacked.folder, 'broken.nft');
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
  const lastGood = join(unpacked.folder, 'last-good.nft');
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
  const lastGood = (): string => join(unpacked.folder, 'by-iptables.nft');
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
  const [script, rules, conf] = ['load-beside', 'flushed.iptables', 'flush.conf'].map((name) =>
    join(unpacked.folder, name),
  );
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
  const programs = join(unpacked.folder, 'programs');
  await execa('mkdir', ['-p', programs]);
  const refuse = "#!/bin/sh\necho 'netlink: Error: cache initialization failed: Protocol not supported' >&2\nexit 1\n";
  await writeFile(join(programs, 'nft'), refuse, { mode: 0o755 });
  const { stdout } = await guarded(
    `${await guardOf(join(unpacked.folder, 'none.nft'), programs)} 2>/dev/null`,
    ...SAVE,
  );
  expect(stdout.match(/^-A RW-GUARD-FROM -i veth\+ -j DROP$/gm)).toHaveLength(4);
  expect(stdout.match(/^-A RW-GUARD-TO -o veth\+ -j DROP$/gm)).toHaveLength(2);
  expect(stdout).toMatch(/^-j DROP -i veth\+/m);
});
