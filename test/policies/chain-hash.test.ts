import { expect, test } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import { compileFiles, compileText } from './compile-texts.ts';

const hashOf = (egress: string) => chainHash(compileText(`egress: ${egress}`).default.egress);

const base = '{rules: [{allow: [ssh, dns], to: [host, 192.0.2.0/24]}]}';

test('equal rules hash alike, whatever their file, line, name and notation', () => {
  for (const same of [
    '\n  rules:\n    - allow: [tcp/53, tcp/22, udp/53]\n      to: [192.0.2.0/25, 192.0.2.128/25, host]',
    '{rules: [{allow: [udp/53, "tcp/53,22"], to: [192.0.2.0/24, host]}]}',
    '{rules: [{name: a, comment: b, allow: [ssh, dns], to: [host, 192.0.2.0/24]}]}',
    '{default: drop, log: false, rules: [{allow: [ssh, dns], to: [host, 192.0.2.0/24], log: false}]}',
    '{rules: [{drop: any, to: any, enabled: false}, {allow: [ssh, dns], to: [host, 192.0.2.0/24]}]}',
  ]) {
    expect(hashOf(same)).toBe(hashOf(base));
  }
  const elsewhere = compileFiles({ 'containers/other.yaml': `\n\negress: ${base}` }, 'other');
  expect(chainHash(elsewhere.default.egress)).toBe(hashOf(base));
});

test('is 16 hex digits, and stays what it is from version to version', () => {
  expect(hashOf('{}')).toMatch(/^[0-9a-f]{16}$/);
  expect(hashOf('{}')).toBe(
    chainHash({ direction: 'egress', rules: [], default: { verdict: 'drop', log: false, origin: null } }),
  );
});

test('whatever the kernel would do differently hashes differently', () => {
  const variants = [
    base,
    '{}',
    '{default: reject}',
    '{default: allow}',
    '{log: true}',
    '{rules: [{allow: ssh, to: host}]}',
    '{rules: [{drop: ssh, to: host}]}',
    '{rules: [{reject: ssh, to: host}]}',
    '{rules: [{log: ssh, to: host}]}',
    '{rules: [{allow: ssh, to: host, log: true}]}',
    '{rules: [{allow: ssh, to: lan}]}',
    '{rules: [{allow: ssh, to: 192.0.2.1}]}',
    '{rules: [{allow: ssh, to: 192.0.2.2}]}',
    '{rules: [{allow: ssh, to: 0.0.0.0/0}]}',
    '{rules: [{allow: ssh, to: "::/0"}]}',
    '{rules: [{allow: tcp/23, to: host}]}',
    '{rules: [{allow: udp/22, to: host}]}',
    '{rules: [{allow: icmp4, to: host}]}',
    '{rules: [{allow: icmp4/0, to: host}]}',
    '{rules: [{allow: icmp6, to: host}]}',
    '{rules: [{allow: proto/22, to: host}]}',
    '{rules: [{allow: ssh, to: host}, {drop: any, to: lan}]}',
    '{rules: [{drop: any, to: lan}, {allow: ssh, to: host}]}',
  ];
  expect(new Set(variants.map(hashOf)).size).toBe(variants.length);
  const ingress = chainHash(compileText('').default.ingress);
  expect(ingress).not.toBe(hashOf('{}'));
});

test('a chain that logs belongs to one container', () => {
  const hashFor = (name: string) =>
    chainHash(compileFiles({ 'containers/_default.yaml': 'egress: {log: true}' }, name).default.egress);
  expect(hashFor('a')).not.toBe(hashFor('b'));
});
