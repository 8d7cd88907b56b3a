/** What is wrong with a policy file is told with its place and what would be right. */
import { describe, expect, test } from 'vitest';
import { compileText, problemsOf } from './compile-texts.ts';
import { expectProblems, to } from './policy-rows.ts';

describe('what is no YAML is refused with its place', () => {
  expectProblems([
    [
      'egress: b: c',
      '1:9: error: not valid YAML: a second ": " in one line, or a ":" at its end; put quotes around the text',
    ],
    [
      'egress:\n  rules:\n    - allow: ssh\n        to: any\n',
      '4:9: error: not valid YAML: indented deeper than the key in line 3 that it stands beside; or put quotes around a text of several lines',
    ],
    ['egress:\n\trules: []', '2:1: error: not valid YAML: a tab as indentation; use spaces'],
    ['use: a\n---\nuse: b', '2:1: error: not valid YAML: one file holds one document; remove what follows ---'],
    ['use: "base', '1:11: error: not valid YAML: missing closing "quote'],
    ['['.repeat(20_000), '1:1: error: nested too deeply to be a policy'],
  ]);
});

describe('what policies need not have of YAML is refused', () => {
  expectProblems([
    ['egress: {}\ningress: {}\negress: {}\n', '3:1: error: "egress" is given twice: first in line 1'],
    ['use: &x []\nroutes: *x', '2:9: error: aliases (*name) are not supported: write the value out, or use a profile'],
    ['<<: {}\n', '1:1: error: merge keys (<<) are not supported: share rules by a profile, with use'],
    ['egress: !secret {}', '1:17: error: tags (!secret) are not supported: write the plain value'],
    ['? [use]\n: base', '1:3: error: a key must be plain text'],
  ]);
});

describe('the shape of a policy is checked', () => {
  expectProblems([
    ['- ssh', '1:1: error: the file must be a mapping, not a list'],
    ['ssh', '1:1: error: the file must be a mapping, not "ssh"'],
    ['egres: {}', '1:1: error: unknown key "egres": did you mean "egress"?'],
    [
      'firewall: {}',
      '1:1: error: unknown key "firewall": the keys here are use, mode, until, routes, tables, uplink, gateway, masquerade, publish, egress, ingress, limits, interfaces, strict, expect',
    ],
    ['egress:\n', '1:8: error: "egress" has no value: fill it in or remove it'],
    ['use: [1]', '1:7: error: an item of "use" must be text, not 1: put quotes around it'],
    [
      'egress:\n  default: alow',
      '2:12: error: "default" is one of drop, reject, allow, not "alow": did you mean "allow"?',
    ],
    ['ingress:\n  log: yes', '2:8: error: "log" must be true or false, not "yes": did you mean true?'],
    ['interfaces:\n  eth0:\n    rules: []', '3:5: error: "rules" stands below "egress:" or "ingress:"'],
    ['limits: { egress: 100 }', '1:19: error: "egress" must be text, not 100: with a unit, such as 100mbit'],
    ['limits: { egress: fast }', '1:19: error: "fast" is no rate: write a number and a unit, such as 100mbit'],
    ['limits: { ingress: 1kbit }', '1:20: error: "1kbit" is less than 8kbit, the least that can be held'],
    [
      'interfaces:\n  eth0:\n    limits: { egress: 200 Gbit }',
      '3:23: error: "200 Gbit" is more than 100gbit: leave the limit out',
    ],
  ]);
});

describe('an observation has an end that is near', () => {
  expectProblems([
    ['mode: observe', '1:7: error: an observation has an end, within 31 days: add until: 2026-06-08T00:00:00Z'],
    [
      'mode: observe\nuntil: 2026-07-03T00:00:00Z',
      '2:8: error: that is more than 31 days away: observe until 2026-07-02T00:00:00Z at the latest',
    ],
    [
      'until: 2026-06-08T00:00:00Z',
      '1:8: error: "until" ends an observation, and nothing is observed: remove it, or write mode: observe',
    ],
    [
      'mode: enforce\nuntil: 2026-06-08T00:00:00Z',
      '2:8: error: "until" ends an observation, and nothing is observed: remove it, or write mode: observe',
    ],
    [
      'mode: observes\nuntil: 2026-06-08T00:00:00Z',
      '1:7: error: "mode" is one of enforce, observe, observe-egress, observe-ingress, not "observes": did you mean "observe"?',
    ],
    [
      'mode: observe\nuntil: 2026-06-08',
      '2:8: error: "2026-06-08" has no time of day: did you mean "2026-06-08T00:00:00Z"?',
    ],
    [
      'egress: {mode: observe}',
      '1:10: error: "mode" stands at the top of a container\'s policy: write mode: observe-egress there',
    ],
    ['interfaces: {eth0: {mode: observe}}', '1:21: error: "mode" stands at the top of a container\'s policy'],
  ]);
});

describe('an expectation has one verdict and one far end, and words that mean something', () => {
  const expectation = (text: string): string => `expect:\n  - ${text}\n`;
  expectProblems([
    ['expect: ssh', '1:9: error: "expect" must be a list, not "ssh"'],
    [expectation('{ drop: ssh }'), '2:5: error: the expectation needs one of to, from'],
    [expectation('{ to: any }'), '2:5: error: the expectation needs one of allow, drop, reject'],
    [
      expectation('{ allow: ssh, drop: dns, to: any }'),
      '2:5: error: the expectation has allow and drop: it needs exactly one of them',
    ],
    [
      expectation('{ drop: ssh, reject: dns, to: any }'),
      '2:5: error: the expectation has drop and reject: it needs exactly one of them',
    ],
    [
      expectation('{ drop: ssh, to: any, from: any }'),
      '2:5: error: the expectation has to and from: it needs exactly one of them',
    ],
    [expectation('{ deny: ssh, to: any }'), '2:7: error: unknown key "deny": did you mean "drop"?'],
    [expectation('{ drop: shh, to: any }'), '2:13: error: unknown service "shh": did you mean "ssh"?'],
    [
      expectation('{ drop: ssh, from: "container:wep" }'),
      '2:24: error: unknown container "wep": did you mean "container:web"?',
    ],
    [
      expectation('{ drop: ssh, to: "dns:deb.example" }'),
      '2:22: error: "dns:deb.example" can\'t be refused, since its addresses are never all known: allow what may pass, or name addresses',
    ],
    [
      expectation('{ drop: icmp4, to: "2001:db8::1" }'),
      '2:13: error: "icmp4" is IPv4 only, and the peers are IPv6 only: the rule can\'t match',
    ],
  ]);
});

describe('routes', () => {
  expectProblems([
    [
      'routes: [192.0.2.0/33, 0.0.0.0/0]',
      '1:10: error: "192.0.2.0/33" is no prefix: write one such as 198.51.100.64/28',
      '1:24: error: "0.0.0.0/0" would send all of the host\'s IPv4 traffic here',
    ],
    [
      'routes: ff02::/16',
      '1:9: error: "ff02::/16" can\'t be routed: ff02:: is loopback, link-local, multicast or reserved',
    ],
    [
      'routes: 192.0.2.1-192.0.2.9',
      '1:9: error: "192.0.2.1-192.0.2.9" is no prefix: write one such as 198.51.100.64/28',
    ],
  ]);
});

test('all mistakes of all kinds are told at once, in the order of the file', () => {
  const text = `use: nobody
egress:
  default: alow
  rules:
    - allow: shh
      to: any
    - alow: ssh
      to: any
    - allow: ssh
      to: [container:bilder, hosts]
      mode: observe
    - allow: ssh
      to: container:bilder
    - allow: tcp/0
      to: hosts
      enabled: false
`;
  expect(problemsOf(compileText(text))).toEqual(
    [
      '1:6: error: unknown profile "nobody": there is no profiles/nobody.yaml',
      '3:12: error: "default" is one of drop, reject, allow, not "alow": did you mean "allow"?',
      '5:14: error: unknown service "shh": did you mean "ssh"?',
      '7:7: error: unknown key "alow": did you mean "allow"?',
      '11:7: error: "mode" stands at the top of a container\'s policy',
      '13:11: error: unknown container "bilder": did you mean "container:builder"?',
      '14:14: error: "tcp/0": "0" is no port: ports are 1 to 65535, without leading zeros',
      '15:11: error: "hosts" is no peer: did you mean "host"?',
    ].map((line) => `containers/web.yaml:${line}`),
  );
});

test('a policy with mistakes allows nothing at all', () => {
  const compiled = compileText(
    'egress:\n  default: allow\n  rules: [{allow: any, to: any}, {allow: shh, to: any}]\nroutes: 198.51.100.64/28',
  );
  expect(compiled).toMatchObject({
    ok: false,
    routes: [],
    default: { egress: { rules: [], default: { verdict: 'drop' } } },
  });
});

test('a prefix with host bits is read as its network, with a warning', () => {
  const compiled = compileText(to('192.0.2.1/24'));
  expect(problemsOf(compiled)).toEqual([
    'containers/web.yaml:4:11: warning: "192.0.2.1/24" has host bits: it reads as 192.0.2.0/24',
  ]);
  expect(compiled.ok).toBe(true);
});
