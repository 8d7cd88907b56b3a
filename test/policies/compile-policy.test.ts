import { describe, expect, test } from 'vitest';
import {
  type CompiledPolicy,
  closedPolicy,
  compilePolicy,
  createFreshCheck,
  openPolicy,
  policyOfNic,
} from '../../policies/compile-policy.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { book, bookOf, compileFiles, compileText, filesOf, linesOf, problemsOf } from './compile-texts.ts';

/** One egress rule in the second line, with these services and peers; its compiled lines without place and default. */
function expand(services: string, peers: string, files: Record<string, string> = {}): string[] {
  const text = `egress: {rules: [\n {allow: ${services}, to: ${peers}}]}`;
  const compiled = compileFiles({ 'containers/web.yaml': text, ...files });
  expect(problemsOf(compiled).filter((line) => line.includes(': error:'))).toEqual([]);
  return linesOf(compiled.default.egress)
    .slice(0, -1)
    .map((line) => line.replace('web.yaml:2 allow ', ''));
}

describe('every kind of service', () => {
  test.each([
    ['any', ['any to host']],
    ['tcp/80', ['tcp/80 to host']],
    ['"tcp/443,80"', ['tcp/80,443 to host']],
    ['"tcp/80, 81"', ['tcp/80-81 to host']],
    ['udp/5000-5010', ['udp/5000-5010 to host']],
    ['sctp/36412', ['sctp/36412 to host']],
    ['icmp', ['icmp4 to host', 'icmp6 to host']],
    ['icmp4', ['icmp4 to host']],
    ['icmp6', ['icmp6 to host']],
    ['icmp/echo-request', ['icmp4/echo-request to host', 'icmp6/echo-request to host']],
    ['icmp4/13', ['icmp4/timestamp-request to host']],
    ['icmp6/200', ['icmp6/200 to host']],
    ['proto/47', ['proto/47 to host']],
    ['rsync', ['tcp/873 to host']],
    ['dns', ['tcp/53 to host', 'udp/53 to host']],
    ['ping', ['icmp4/echo-request to host', 'icmp6/echo-request to host']],
    ['[ssh, http, https, tcp/20-25]', ['tcp/20-25,80,443 to host']],
    ['[tcp/80, any]', ['any to host']],
    ['[tcp/80, proto/6]', ['proto/6 to host']],
    ['[icmp/echo-request, icmp4]', ['icmp4 to host', 'icmp6/echo-request to host']],
  ])('%s', (services, lines) => {
    expect(expand(services, 'host')).toEqual(lines);
  });
});

describe('every kind of peer', () => {
  const sets = {
    'sets/mirrors.txt': '# mirrors\n192.0.2.1 # one\n192.0.2.0/32\r\n\n2001:db8::1-2001:db8::3\n',
    'sets/wide.yaml': '- 192.0.2.0/25\n- 192.0.2.128/25\n',
    'sets/six.json': '["2001:db8::/64"]',
  };
  test.each([
    ['any', ['tcp/22 to any']],
    ['host', ['tcp/22 to host']],
    ['lan', ['tcp/22 to lan']],
    ['internet', ['tcp/22 to internet']],
    ['192.0.2.1', ['tcp/22 to 192.0.2.1']],
    ['2001:DB8::1', ['tcp/22 to 2001:db8::1']],
    ['192.0.2.0/24', ['tcp/22 to 192.0.2.0/24']],
    ['192.0.2.10-192.0.2.20', ['tcp/22 to 192.0.2.10-192.0.2.20']],
    ['"192.0.2.10 - 192.0.2.11"', ['tcp/22 to 192.0.2.10/31']],
    ['container:builder', ['tcp/22 to 192.0.2.10', 'tcp/22 to 2001:db8::10']],
    ['container:legacy', ['tcp/22 to 192.0.2.11']],
    ['group:ci', ['tcp/22 to 192.0.2.10/31', 'tcp/22 to 2001:db8::10']],
    ['set:mirrors', ['tcp/22 to 192.0.2.0/31', 'tcp/22 to 2001:db8::1-2001:db8::3']],
    ['set:wide', ['tcp/22 to 192.0.2.0/24']],
    ['set:six', ['tcp/22 to 2001:db8::/64']],
    ['[set:wide, 192.0.2.7, 192.0.3.0/24]', ['tcp/22 to 192.0.2.0/23']],
    ['[host, 192.0.2.7, host]', ['tcp/22 to host', 'tcp/22 to 192.0.2.7']],
    ['[host, any, 192.0.2.7]', ['tcp/22 to any']],
    ['0.0.0.0/0', ['tcp/22 to any (IPv4)']],
    ['["0.0.0.0/1", "128.0.0.0/1", lan]', ['tcp/22 to lan', 'tcp/22 to any (IPv4)']],
    ['["0.0.0.0/0", "::/0"]', ['tcp/22 to any']],
  ])('%s', (peers, lines) => {
    expect(expand('ssh', peers, sets)).toEqual(lines);
  });
});

describe('a rule never widens', () => {
  test.each([
    ['icmp/echo-request', '192.0.2.1', ['icmp4/echo-request to 192.0.2.1']],
    ['icmp', 'container:legacy', ['icmp4 to 192.0.2.11']],
    [
      '[ssh, icmp6]',
      '[192.0.2.1, 2001:db8::1]',
      ['tcp/22 to 192.0.2.1', 'tcp/22 to 2001:db8::1', 'icmp6 to 2001:db8::1'],
    ],
    ['icmp', '::/0', ['icmp6 to any (IPv6)']],
    ['ssh', 'set:none', []],
    ['ssh', '[set:none, 192.0.2.1]', ['tcp/22 to 192.0.2.1']],
  ])('%s to %s', (services, peers, lines) => {
    expect(expand(services, peers, { 'sets/none.txt': '# nobody\n' })).toEqual(lines);
  });

  test('an empty set is told as a warning', () => {
    const files = { 'containers/web.yaml': 'ingress:\n  rules: [{allow: ssh, from: set:none}]', 'sets/none.yaml': '' };
    const compiled = compileFiles(files);
    expect(compiled.ok).toBe(true);
    expect(problemsOf(compiled)).toEqual([
      'containers/web.yaml:2:30: warning: the set "none" is empty: it matches nothing',
    ]);
  });
});

describe('a whole policy', () => {
  const tinderbox = `use: [base]
routes: [198.51.100.64/28]
egress:
  default: reject
  log: true
  rules:
    - allow: [rsync, squid]
      to: host
    - drop: tcp/25
      to: any
      log: true
      name: no mail
    - log: dns
      to: any
    - allow: any
      to: any
      enabled: false
ingress:
  rules:
    - allow: ssh
      from: container:builder
`;
  const base = `routes: [198.51.100.64/28, 2001:db8:5::/64]
egress:
  default: allow
ingress:
  default: reject
  rules:
    - reject: ident
      from: any
`;
  const compiled = compileFiles({ 'containers/web.yaml': tinderbox, 'profiles/base.yaml': base });

  test('keeps the order of its rules, then come those of its profiles', () => {
    expect(problemsOf(compiled)).toEqual([]);
    expect(linesOf(compiled.default.egress)).toEqual([
      'web.yaml:7 allow tcp/873,3128 to host',
      'web.yaml:9 drop tcp/25 to any, logged',
      'web.yaml:13 log tcp/53 to any',
      'web.yaml:13 log udp/53 to any',
      'web.yaml:4 default reject, logged',
    ]);
    expect(linesOf(compiled.default.ingress)).toEqual([
      'web.yaml:20 allow tcp/22 from 192.0.2.10',
      'web.yaml:20 allow tcp/22 from 2001:db8::10',
      'profiles/base.yaml:7 reject tcp/113 from any',
      'profiles/base.yaml:5 default reject',
    ]);
  });

  test('names the container only where a chain logs, and keeps the names of rules', () => {
    expect(compiled.default.egress.owner).toEqual({ container: 'web', id: 'web' });
    expect(compiled.default.ingress.owner).toBeUndefined();
    expect(compiled.default.egress.rules[1]?.name).toBe('no mail');
  });

  test('routes each prefix once, its own first', () => {
    expect(compiled.routes).toEqual([
      { prefix: '198.51.100.64/28', origin: { file: 'web.yaml', line: 2 } },
      { prefix: '2001:db8:5::/64', origin: { file: 'profiles/base.yaml', line: 1 } },
    ]);
  });
});

test('profiles come in the order of use, and the first that states a default decides', () => {
  const compiled = compileFiles({
    'containers/web.yaml': 'use: [b, a]',
    'profiles/a.yaml': 'egress: {default: allow, log: true, rules: [{drop: smtp, to: any}]}',
    'profiles/b.yml': 'egress: {default: reject, rules: [{allow: dns, to: host}]}',
  });
  expect(linesOf(compiled.default.egress)).toEqual([
    'profiles/b.yml:1 allow tcp/53 to host',
    'profiles/b.yml:1 allow udp/53 to host',
    'profiles/a.yaml:1 drop tcp/25 to any',
    'profiles/b.yml:1 default reject, logged',
  ]);
});

describe('interfaces', () => {
  const compiled = compileFiles({
    'containers/web.yaml': `use: base
egress: {rules: [{allow: dns, to: host}]}
ingress: {default: allow}
interfaces:
  eth0: {ingress: {rules: [{allow: https, from: any}]}}
  1: {egress: {default: reject}}
`,
    'profiles/base.yaml': 'ingress: {default: allow, rules: [{drop: ssh, from: any}]}',
  });

  test('a direction that a NIC is given replaces the whole container-wide one', () => {
    expect(linesOf(policyOfNic(compiled, { name: 'eth0', index: 0 }).ingress)).toEqual([
      'web.yaml:5 allow tcp/443 from any',
      '- default drop',
    ]);
  });

  test('a direction that it is not given stays the container-wide one', () => {
    expect(policyOfNic(compiled, { name: 'eth0', index: 0 }).egress).toBe(compiled.default.egress);
    expect(policyOfNic(compiled, { index: 1 }).ingress).toBe(compiled.default.ingress);
  });

  test('a NIC may be named by its index', () => {
    expect(linesOf(policyOfNic(compiled, { name: 'eth1', index: 1 }).egress)).toEqual(['web.yaml:6 default reject']);
    expect(policyOfNic(compiled, { name: 'eth2', index: 2 })).toBe(compiled.default);
  });
});

describe('a container without a file', () => {
  test('is closed, or open where the host says so', () => {
    expect(compileFiles({})).toMatchObject({ ok: true, file: null, default: closedPolicy });
    expect(compileFiles({}, 'web', 'open')).toMatchObject({ ok: true, file: null, default: openPolicy });
  });

  test('gets _default.yaml, under its own name', () => {
    const compiled = compileFiles({ 'containers/_default.yaml': 'egress: {log: true}' }, 'other', 'open');
    expect(compiled.file).toBe('containers/_default.yaml');
    expect(compiled.default.egress).toMatchObject({
      default: { verdict: 'drop', log: true },
      owner: { container: 'other' },
    });
  });

  test('is closed where _default.yaml is broken, also on an open host', () => {
    const compiled = compileFiles({ 'containers/_default.yaml': 'egres: {}' }, 'other', 'open');
    expect(compiled).toMatchObject({ ok: false, default: closedPolicy });
  });
});

test('a policy that says nothing lets nothing pass', () => {
  for (const text of ['# nothing yet\n', '{}']) {
    expect(compileText(text)).toMatchObject({ ok: true, default: closedPolicy, problems: [] });
  }
});

test('a file without a byte is one that somebody is about to write, and no policy', () => {
  for (const text of ['', '\n', '\uFEFF']) {
    const { ok, problems } = compileText(text);
    expect(ok).toBe(false);
    expect(problems.map(({ message }) => message)).toEqual([
      'the file is empty: write {} for a policy that allows nothing',
    ]);
  }
});

describe('what others break is told where it is used', () => {
  const use = 'use:\n  - base\negress:\n  rules:\n    - {allow: ssh, to: set:mirrors}\n';
  test.each([
    [
      'a broken profile',
      { 'profiles/base.yaml': '\negres: {}', 'sets/mirrors.txt': '' },
      '2:5: error: the profile "base" has errors: see profiles/base.yaml:2',
    ],
    [
      'a broken set',
      { 'profiles/base.yaml': '', 'sets/mirrors.txt': '\n192.0.2.300\n' },
      '5:24: error: the set "mirrors" has errors: see sets/mirrors.txt:2',
    ],
  ])('%s', (_title, files, line) => {
    const compiled = compileFiles({ 'containers/web.yaml': use, ...files });
    expect(compiled.ok).toBe(false);
    expect(problemsOf(compiled).filter((problem) => problem.includes('error'))).toEqual([
      `containers/web.yaml:${line}`,
    ]);
  });

  test('a profile whose names are unknown', () => {
    const profile = 'egress:\n  rules: [{allow: ssh, to: container:bilder}]';
    const compiled = compileFiles({ 'containers/web.yaml': 'use: base', 'profiles/base.yaml': profile });
    expect(problemsOf(compiled)).toEqual([
      'containers/web.yaml:1:6: error: the profile "base" has errors: see profiles/base.yaml:2',
      'profiles/base.yaml:2:28: error: unknown container "bilder": did you mean "container:builder"?',
    ]);
  });
});

const isFresh = (compiled: CompiledPolicy, ...args: Parameters<typeof createFreshCheck>): boolean =>
  createFreshCheck(...args)(compiled);

describe('a compiled policy is fresh until an answer changes', () => {
  const files = {
    'containers/web.yaml':
      'use: base\negress: {rules: [{allow: [ssh, tcp/80], to: [set:mirrors, container:builder, group:ci]}]}',
    'containers/other.yaml': 'egress: {rules: [{allow: tcp/80, to: any}]}',
    'profiles/base.yaml': '',
    'profiles/unused.yaml': '',
    'sets/mirrors.txt': '192.0.2.1',
    'services.yaml': 'backup: rsync',
  };
  const loaded = loadPolicies(filesOf(files));
  const now = 0;
  const compiled = compilePolicy('web', { loaded, book, now });

  test.each([
    ['nothing', {}, true],
    ['another container', { 'containers/other.yaml': '' }, true],
    ['a profile that it does not use', { 'profiles/unused.yaml': 'routes: []' }, true],
    ['its file', { 'containers/web.yaml': '' }, false],
    ['its profile', { 'profiles/base.yaml': 'routes: []' }, false],
    ['its set', { 'sets/mirrors.txt': '192.0.2.2' }, false],
    ['own services', { 'services.yaml': 'ssh: tcp/2222' }, false],
  ])('%s changes', (_title, change, fresh) => {
    expect(isFresh(compiled, { loaded: loadPolicies(filesOf({ ...files, ...change }), loaded), book, now })).toBe(
      fresh,
    );
  });

  test('own services do not matter to a policy without names', () => {
    const other = compilePolicy('other', { loaded, book, now });
    const changed = loadPolicies(filesOf({ ...files, 'services.yaml': 'ssh: tcp/2222' }), loaded);
    expect(isFresh(other, { loaded: changed, book, now })).toBe(true);
  });

  test('the addresses of a container or group that it names change', () => {
    const groups = { ci: ['192.0.2.10/32', '192.0.2.11/32', '2001:db8::10/128'] };
    const same = bookOf({ builder: ['192.0.2.10/32', '2001:db8::10/128'] }, groups);
    expect(isFresh(compiled, { loaded, book: same, now })).toBe(true);
    expect(isFresh(compiled, { loaded, book: bookOf({ builder: ['192.0.2.99/32'] }, groups), now })).toBe(false);
    expect(isFresh(compiled, { loaded, book: bookOf({ builder: ['192.0.2.10/32', '2001:db8::10/128'] }), now })).toBe(
      false,
    );
  });

  test('what a container without a file gets changes', () => {
    const without = compilePolicy('new', { loaded, book, now });
    expect(isFresh(without, { loaded, book, now })).toBe(true);
    expect(isFresh(without, { loaded, book, now }, 'open')).toBe(false);
    const given = loadPolicies(filesOf({ ...files, 'containers/new.yaml': '' }), loaded);
    expect(isFresh(without, { loaded: given, book, now })).toBe(false);
  });
});
