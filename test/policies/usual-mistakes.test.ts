/** What people write who know another firewall, or YAML less well, is answered by what would be right. */
import { describe, expect, test } from 'vitest';
import { loadPolicies } from '../../policies/load-policies.ts';
import { formatProblem } from '../../policies/problem.ts';
import { filesOf } from './compile-texts.ts';
import { allow, expectProblems, rule, to } from './policy-rows.ts';

describe('rules stand below a direction', () => {
  expectProblems([
    ['rules:\n  - allow: ssh\n    from: any\n', '1:1: error: "rules" stands below "egress:" or "ingress:"'],
    ['default: drop\n', '1:1: error: "default" stands below "egress:" or "ingress:"'],
    ['allow: ssh\n', '1:1: error: "allow" stands in a rule, below "rules:" of "egress:" or "ingress:"'],
    ['interfaces:\n  eth0:\n    rules: []\n', '3:5: error: "rules" stands below "egress:" or "ingress:"'],
    ['ingress:\n  allow: ssh\n', '2:3: error: "allow" stands in a rule, below "rules:"'],
    [
      'ingress:\n  - allow: ssh\n',
      '2:3: error: "ingress" must be a mapping, not a list: its rules stand below "rules:"',
    ],
    [
      'ingress:\n  rules:\n    allow: ssh\n    from: any\n',
      '3:5: error: "rules" must be a list, not a mapping: each item begins with "- "',
    ],
  ]);
});

describe("other firewalls' words", () => {
  expectProblems([
    [rule('accept: ssh\n      to: any'), '3:7: error: unknown key "accept": did you mean "allow"?'],
    [rule('deny: ssh\n      to: any'), '3:7: error: unknown key "deny": did you mean "drop"?'],
    [rule('allow: ssh\n      destination: any'), '4:7: error: unknown key "destination": did you mean "to"?'],
    [
      rule('allow: any\n      to: any\n      ports: 22'),
      '5:7: error: unknown key "ports": services stand behind the action, as in allow: tcp/22',
    ],
    [
      'egress:\n  default: accept\n',
      '2:12: error: "default" is one of drop, reject, allow, not "accept": did you mean "allow"?',
    ],
    [allow('all'), '3:14: error: unknown service "all": did you mean "any"?'],
    [allow('tcp:22'), '3:14: error: "tcp:22" is no service: did you mean "tcp/22"?'],
    [allow('udp 53'), '3:14: error: "udp 53" is no service: did you mean "udp/53"?'],
    [
      allow('tcp/ssh'),
      '3:14: error: "tcp/ssh": "ssh" is no port: write a number from 1 to 65535, or a range 5000-5010, or just ssh',
    ],
    [allow('icmp/echo'), '3:14: error: "icmp/echo": unknown ICMP type "echo": did you mean "echo-request"?'],
    [to('all'), '4:11: error: "all" is no peer: did you mean "any"?'],
  ]);
});

describe('addresses', () => {
  expectProblems([
    [
      to('192.0.2.0/255.255.255.0'),
      '4:11: error: "192.0.2.0/255.255.255.0" is no address or prefix: did you mean "192.0.2.0/24"?',
    ],
    [to('192.0.2.0/33'), '4:11: error: "192.0.2.0/33" is no address or prefix: IPv4 prefixes are /0 to /32'],
    [to('2001:db8::/129'), '4:11: error: "2001:db8::/129" is no address or prefix: IPv6 prefixes are /0 to /128'],
    [
      to('fe80::1%eth0'),
      '4:11: error: "fe80::1%eth0" is no address or prefix: write the address without its zone, %eth0',
    ],
    [
      to('[2001:db8::]'),
      '4:12: error: an item of "to" must be text, not a mapping: put quotes around a text that ends in ":"',
    ],
  ]);

  test('in a set too', () => {
    const list = 'fe80::1%eth0\n10.0.0.0/255.0.0.0\nexample.org\n';
    expect(loadPolicies(filesOf({ 'sets/s.txt': list })).problems.map((problem) => formatProblem(problem))).toEqual([
      'sets/s.txt:1:1: error: "fe80::1%eth0" is no address, prefix or range: write the address without its zone, %eth0',
      'sets/s.txt:2:1: error: "10.0.0.0/255.0.0.0" is no address, prefix or range: did you mean "10.0.0.0/8"?',
      'sets/s.txt:3:1: error: "example.org" is no address, prefix or range',
    ]);
  });
});

describe('YAML', () => {
  expectProblems([
    [to('*'), '4:11: error: not valid YAML: "*" begins an alias, which is not supported; put quotes around the text'],
    [
      'egress:\n  default:reject\n  rules: []\n',
      '2:3: error: not valid YAML: no "KEY: VALUE"; behind the colon there has to be a space',
    ],
  ]);
});
