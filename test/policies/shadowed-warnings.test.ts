/** Rules that can never match, and what is said about them. */
import { expect, test } from 'vitest';
import { loadPolicies } from '../../policies/load-policies.ts';
import { formatProblem } from '../../policies/problem.ts';
import { warnOfShadowed } from '../../policies/shadowed-warnings.ts';
import { book } from './compile-texts.ts';
import { host } from './flows/random-chains.ts';

function warnings(text: string, files: Record<string, string> = {}): string[] {
  const loaded = loadPolicies(new Map(Object.entries({ 'containers/web.yaml': text, ...files })));
  const documents = [...loaded.containers.values(), ...loaded.profiles.values()];
  const found = warnOfShadowed(documents, { loaded, book, now: Date.parse('2026-06-01T00:00:00Z') }, host);
  return found.map((problem) => formatProblem(problem));
}

/** Rules of one line each, from line 3 on. */
const ingress = (...rules: readonly string[]): string =>
  `ingress:\n  rules:\n${rules.map((rule) => `    - { ${rule} }\n`).join('')}`;

const SHADOWED = (line: number, by: string): string =>
  `containers/web.yaml:${line}:7: warning: this rule can never match: ${by} all that it is for; move it up, or remove it`;

test.each([
  ['the same again', ['allow: ssh, from: lan', 'drop: ssh, from: lan'], [SHADOWED(4, 'web.yaml:3 takes')]],
  ['a wider peer', ['drop: ssh, from: any', 'allow: ssh, from: 203.0.113.7'], [SHADOWED(4, 'web.yaml:3 takes')]],
  ['a wider service', ['drop: any, from: lan', 'allow: [ssh, ping], from: lan'], [SHADOWED(4, 'web.yaml:3 takes')]],
  [
    'several rules together',
    [
      'drop: tcp/1-100, from: 203.0.113.0/25',
      'allow: tcp/1-200, from: 203.0.113.128/25',
      'allow: tcp/50, from: 203.0.113.0/24',
    ],
    [SHADOWED(5, 'web.yaml:3 and web.yaml:4 together take')],
  ],
  [
    'both families',
    ['drop: ping, from: 0.0.0.0/0', 'drop: icmp6, from: any', 'allow: ping, from: any'],
    [SHADOWED(5, 'web.yaml:3 and web.yaml:4 together take')],
  ],
  [
    'a public address behind internet',
    ['drop: any, from: internet', 'allow: ssh, from: 203.0.113.9'],
    [SHADOWED(4, 'web.yaml:3 takes')],
  ],
  [
    'a container behind its address',
    ['drop: any, from: 192.0.2.12', 'allow: ssh, from: "container:web"'],
    [SHADOWED(4, 'web.yaml:3 takes')],
  ],
  ['noting what was decided', ['drop: any, from: any', 'log: ssh, from: lan'], [SHADOWED(4, 'web.yaml:3 takes')]],
  [
    'behind a limit, which refuses the rest',
    ['allow: ssh, from: any, limit: 5/second', 'allow: ssh, from: lan'],
    [SHADOWED(4, 'web.yaml:3 takes')],
  ],
  [
    'ending earlier than what is before it',
    ['allow: ssh, from: any, until: 2027-01-31T00:00:00Z', 'drop: ssh, from: lan, until: 2026-12-31T00:00:00Z'],
    [SHADOWED(4, 'web.yaml:3 takes')],
  ],
] as const)('tells of a rule behind %s', (_what, rules, expected) => {
  expect(warnings(ingress(...rules))).toEqual(expected);
});

test.each([
  ['a part of it is left', ['allow: tcp/1-99, from: any', 'drop: tcp/1-100, from: any']],
  ['one family is left', ['allow: ssh, from: 0.0.0.0/0', 'drop: ssh, from: any']],
  ['what is before it only notes', ['log: any, from: any', 'allow: ssh, from: lan']],
  ['what is before it is switched off', ['drop: any, from: any, enabled: false', 'allow: ssh, from: lan']],
  ['it is switched off itself', ['drop: any, from: any', 'allow: ssh, from: lan, enabled: false']],
  ['what is before it ends', ['drop: any, from: any, until: 2027-01-31T00:00:00Z', 'allow: ssh, from: lan']],
  ['what is before it ended', ['drop: any, from: any, until: 2025-01-31T00:00:00Z', 'allow: ssh, from: lan']],
  [
    'the host may get another address',
    ['drop: any, from: [192.0.2.1, 169.254.0.1, "2001:db8::1", "fe80::1"]', 'allow: ssh, from: host'],
  ],
  ['the lan may become another one', ['drop: any, from: [192.0.2.0/24, "2001:db8::/64"]', 'allow: ssh, from: lan']],
  ['a name may get an address', ['drop: any, from: [host, lan]', 'allow: ssh, from: "dns:deb.example"']],
  ['it has a part that matches', ['drop: ssh, from: any', 'allow: [ssh, http], from: lan']],
] as const)('says nothing where %s', (_why, rules) => {
  expect(warnings(ingress(...rules))).toEqual([]);
});

test('a container may override a profile, but no file itself', () => {
  const profile = 'ingress:\n  rules:\n    - { allow: ssh, from: lan }\n    - { drop: ssh, from: lan }\n';
  expect(warnings(`use: [base]\n${ingress('drop: any, from: any')}`, { 'profiles/base.yaml': profile })).toEqual([
    'profiles/base.yaml:4:7: warning: this rule can never match: profiles/base.yaml:3 takes all that it is for; move it up, or remove it',
  ]);
});

test('looks at the rules of each NIC', () => {
  const rules = '{ rules: [{ drop: any, from: any }, { allow: ssh, from: lan }] }';
  const [warning = ''] = warnings(`interfaces:\n  eth1:\n    ingress: ${rules}\n`);
  expect(warning).toMatch(/^containers\/web.yaml:3:50: warning: this rule can never match: web.yaml:3 takes all/);
});
