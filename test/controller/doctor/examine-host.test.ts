/** What else on a host works against containers: settings, files that set them again, versions, and LXC's configurations. */
import { describe, expect, test } from 'vitest';
import { examineLxc } from '../../../controller/doctor/examine-lxc.ts';
import { examineSharedVeths } from '../../../controller/doctor/examine-shared-veths.ts';
import { examineSysctls, type SysctlFacts } from '../../../controller/doctor/examine-sysctls.ts';
import { examineVersions, type Versioned } from '../../../controller/doctor/examine-versions.ts';
import { parseNetworkFiles, parseSysctlFiles, type Setting } from '../../../controller/doctor/setting-files.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';

const FORWARDING = { key: 'net/ipv4/conf/eth0/forwarding', value: '1', reason: 'forwards' } as const;
const FORWARDING6 = { key: 'net/ipv6/conf/all/forwarding', value: '1', reason: 'forwards' } as const;

function said(sysctls: Readonly<Record<string, string>>, facts: Partial<SysctlFacts> = {}): string[] {
  const found = examineSysctls({
    sysctl: (key) => ({ 'net/ipv6/conf/all/disable_ipv6': '0', ...sysctls })[key],
    uplinks: ['eth0'],
    needed: [FORWARDING, FORWARDING6].map((sysctl) => ({ container: 'web', sysctl })),
    ipv6Links: [
      { container: 'web', dev: 'veth1' },
      { container: 'db', dev: 'veth2' },
    ],
    settings: [],
    ...facts,
  });
  return found.map(({ severity, container, message, mend }) => `${severity} ${container}: ${message} | ${mend}`);
}

describe('a setting of the kernel', () => {
  test.each<[string, Record<string, string>, Partial<SysctlFacts>, RegExp | undefined]>([
    ['that is as it should be', { [FORWARDING.key]: '1', [FORWARDING6.key]: '1' }, {}, undefined],
    [
      'that somebody reset, of one interface',
      { [FORWARDING.key]: '0' },
      {},
      /^error web: net\.ipv4\.conf\.eth0\.forwarding is 0.* \| sysctl -w net\.ipv4\.conf\.eth0\.forwarding=1$/,
    ],
    [
      'that somebody reset, of all',
      { [FORWARDING6.key]: '0' },
      {},
      /^error web: net\.ipv6\.conf\.all\.forwarding is 0/,
    ],
    [
      'rp_filter of one uplink',
      { 'net/ipv4/conf/eth0/rp_filter': '1' },
      {},
      /^note null: rp_filter of eth0 is strict: .* \| sysctl -w net\.ipv4\.conf\.eth0\.rp_filter=2$/,
    ],
    [
      'rp_filter of all interfaces',
      { 'net/ipv4/conf/all/rp_filter': '1' },
      {},
      /^note null: rp_filter of eth0 is strict, by that of all/,
    ],
    [
      'rp_filter that an interface loosens',
      { 'net/ipv4/conf/all/rp_filter': '1', 'net/ipv4/conf/eth0/rp_filter': '2' },
      {},
      undefined,
    ],
    [
      'rp_filter of one uplink among several',
      { 'net/ipv4/conf/eth1/rp_filter': '1' },
      { uplinks: ['eth0', 'eth1'] },
      /^warning null: rp_filter of eth1 is strict/,
    ],
    [
      'IPv6 that is off on one interface',
      { 'net/ipv6/conf/veth2/disable_ipv6': '1' },
      {},
      /^error db: IPv6 is switched off on veth2: .* \| sysctl -w net\.ipv6\.conf\.veth2\.disable_ipv6=0$/,
    ],
    [
      'IPv6 that is off on each new interface',
      { 'net/ipv6/conf/default/disable_ipv6': '1', 'net/ipv6/conf/veth2/disable_ipv6': '1' },
      {},
      /\| sysctl -w net\.ipv6\.conf\.default\.disable_ipv6=0 net\.ipv6\.conf\.veth2\.disable_ipv6=0$/,
    ],
    [
      'IPv6 that is off on all',
      Object.fromEntries(['all', 'default', 'veth1', 'veth2'].map((dev) => [`net/ipv6/conf/${dev}/disable_ipv6`, '1'])),
      {},
      /^error web: IPv6 is switched off on veth1: .* \| sysctl -w net\.ipv6\.conf\.all\.disable_ipv6=0$/,
    ],
    [
      'a kernel without IPv6',
      {},
      { sysctl: () => undefined },
      /^error web: the kernel has no IPv6: .* \| no ipv6\.disable=1 /,
    ],
    [
      'IPv6 that is off where nobody has addresses of it',
      { 'net/ipv6/conf/all/disable_ipv6': '1' },
      { ipv6Links: [] },
      undefined,
    ],
  ])('%s', (_, sysctls, facts, expected) => {
    const found = said(sysctls, facts);
    if (expected === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(expected)]);
  });
});

describe('a file that sets it again', () => {
  const conf = (...texts: readonly string[]): Setting[] =>
    parseSysctlFiles(texts.map((text, index) => ({ path: `/etc/sysctl.d/${index}.conf`, text })));
  const network = (text: string): Setting[] => parseNetworkFiles([{ path: '/etc/systemd/network/wan.network', text }]);

  test.each<[string, Setting[], RegExp | undefined]>([
    [
      'with dots',
      conf('# a\n\nnet.ipv4.conf.eth0.forwarding = 0\n'),
      /0\.conf:3 has sysctl set net\.ipv4\.conf\.eth0\.forwarding = 0, and .* \| net\.ipv4\.conf\.eth0\.forwarding = 1 \(.*0\.conf:3\)|\| .* = 1 \(\/etc\/sysctl\.d\/0\.conf:3\)/,
    ],
    ['with slashes', conf('net/ipv4/conf/eth0/forwarding=0'), /0\.conf:1/],
    ['by a pattern', conf('-net.ipv4.conf.*.forwarding = 0'), /0\.conf:1/],
    [
      'that a later one takes back',
      conf('net.ipv4.conf.eth0.forwarding = 0', 'net.ipv4.conf.eth0.forwarding = 1'),
      undefined,
    ],
    [
      'that a later one sets',
      conf('net.ipv4.conf.eth0.forwarding = 1', 'net.ipv4.conf.eth0.forwarding = 0'),
      /1\.conf:1/,
    ],
    [
      'of another interface',
      conf('net.ipv4.conf.eth1.forwarding = 0', '; net.ipv4.conf.eth0.forwarding = 0'),
      undefined,
    ],
    [
      'of networkd',
      network('[Match]\nName=eth*\n[Network]\nIPForward=no\n'),
      /wan\.network:4 has systemd-networkd set IPForward=no/,
    ],
    [
      'of networkd, in the words of systemd 256',
      network('[Match]\nName=eth0\n[Network]\nIPv4Forwarding=off\n'),
      /wan\.network:4/,
    ],
    ['of networkd for another link', network('[Match]\nName=wlan*\n[Network]\nIPv4Forwarding=no\n'), undefined],
    ['of networkd that forwards', network('[Match]\nName=eth0\n[Network]\nIPForward=yes\n'), undefined],
  ])('%s', (_, settings, expected) => {
    const found = said({ [FORWARDING.key]: '1', [FORWARDING6.key]: '1' }, { settings });
    if (expected === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(expected)]);
  });
});

describe('a version', () => {
  test.each<[Versioned, string, string | undefined]>([
    ['kernel', '6.18.44-fc', undefined],
    ['kernel', '6.1.0-18-amd64', 'note'],
    ['kernel', '4.19.0', 'error'],
    ['nft', '1.1.3', undefined],
    ['nft', '1.0.6', 'note'],
    ['nft', '0.9.8', 'warning'],
    ['LXC', '6.0.4', undefined],
    ['LXC', '4.0.6', 'note'],
    ['LXC', '3.1.0', 'error'],
    ['iproute2', '6.1.0', undefined],
    ['iproute2', '4.20.0', 'error'],
  ])('%s %s: %s', (of, version, severity) => {
    expect(examineVersions(new Map([[of, version]])).map((one) => one.severity)).toEqual(
      severity === undefined ? [] : [severity],
    );
  });
});

describe("a container's configuration", () => {
  const found = (...lines: readonly string[]): string[] => {
    const disk = { read: () => lines.join('\n'), list: () => undefined };
    const lxc = parseLxcConfig('/lxc/web/config', disk);
    const isGuarded = (veth: string): boolean => veth.startsWith('veth');
    return examineLxc({ container: 'web', lxc, isGuarded }).map(({ severity, message }) => `${severity}: ${message}`);
  };
  const DROPS = 'lxc.cap.drop = sys_module sys_rawio net_admin';
  const MAPPED = 'lxc.idmap = u 0 100000 65536';

  test.each<[string, readonly string[], readonly RegExp[]]>([
    ['with all of it dropped', [DROPS], []],
    [
      'with capabilities over the kernel',
      [],
      [/^error: sys_module is left/, /^error: sys_rawio is left/, /^note: net_admin is left/],
    ],
    ['as LXC proposes it', ['lxc.cap.drop = sys_module sys_rawio'], [/^note: net_admin is left .*uplink/]],
    ['that keeps what it names alone', ['lxc.cap.keep = net_raw'], []],
    ['that keeps too much', ['lxc.cap.keep = sys_module net_raw'], [/^error: sys_module/]],
    ['with users of its own', [MAPPED, 'lxc.mount.auto = proc:rw sys:rw', 'lxc.apparmor.profile = unconfined'], []],
    ['with a writable /proc', [DROPS, 'lxc.mount.auto = proc:rw sys:ro'], [/^warning: lxc\.mount\.auto = proc:rw/]],
    [
      'without AppArmor too',
      [DROPS, 'lxc.mount.auto = sys:rw', 'lxc.apparmor.profile = unconfined'],
      [/^error: lxc\.mount\.auto = sys:rw/],
    ],
    ['with a veth that guard covers', [DROPS, 'lxc.net.0.type = veth', 'lxc.net.0.veth.pair = vethweb'], []],
    [
      'with another name of a veth',
      [DROPS, 'lxc.net.0.type = veth', 'lxc.net.0.veth.pair = web0'],
      [/^note: veth\.pair web0/],
    ],
    [
      'with an address and no way out',
      [
        DROPS,
        'lxc.net.0.type = veth',
        'lxc.net.0.ipv4.address = 198.51.100.10/32',
        'lxc.net.0.ipv6.address = 2001:db8::1',
      ],
      [/^note: .* IPv4 address and no ipv4\.gateway: it has no route/, /^note: .* IPv6 address and no ipv6\.gateway/],
    ],
    [
      'with its way out by one family alone',
      [
        ...[DROPS, 'lxc.net.0.type = veth', 'lxc.net.0.ipv4.address = 198.51.100.10/32'],
        ...['lxc.net.0.ipv4.gateway = 169.254.0.1', 'lxc.net.0.ipv6.address = 2001:db8::1'],
      ],
      [/^note: .* IPv6 address and no ipv6\.gateway/],
    ],
    [
      'with a bridge, or more interfaces than one, where others may give routes',
      [
        ...[DROPS, 'lxc.net.0.type = veth', 'lxc.net.0.link = br0', 'lxc.net.0.ipv4.address = 198.51.100.10/24'],
        ...['lxc.net.1.type = veth', 'lxc.net.1.ipv4.address = 198.51.100.11/32'],
      ],
      [],
    ],
    ['that took it back', [DROPS, 'lxc.mount.auto = proc:rw', 'lxc.mount.auto ='], []],
  ])('%s', (_, lines, expected) => {
    expect(found(...lines)).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  test("whose veth has the name of another container's, as in a copy, is told with whom", () => {
    const config = (container: string, ...veths: readonly string[]) => {
      const lines = veths.flatMap((veth, index) => [
        `lxc.net.${index}.type = veth`,
        `lxc.net.${index}.veth.pair = ${veth}`,
      ]);
      const disk = { read: () => lines.join('\n'), list: () => undefined };
      return { container, lxc: parseLxcConfig(`/lxc/${container}/config`, disk) };
    };
    const findings = examineSharedVeths([config('web', 'vethA', 'vethB'), config('copy', 'vethB'), config('db', '')]);
    expect(findings.map(({ container, message, mend }) => `${container}: ${message} | ${mend}`)).toEqual([
      'web: veth.pair vethB is that of copy too: while one of them runs, LXC starts no other | another name for lxc.net.1.veth.pair, or none (/lxc/web/config:3)',
      'copy: veth.pair vethB is that of web too: while one of them runs, LXC starts no other | another name for lxc.net.0.veth.pair, or none (/lxc/copy/config:1)',
    ]);
  });
});
