/** What people write who know another firewall, or YAML less well, is answered by what would be right. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../policies/config.ts';
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

describe('lists, and what they are of', () => {
  expectProblems([
    [
      'publish: 8080:80\n',
      '1:10: error: "publish" must be a list, not "8080:80": did you mean [{ tcp: 8080, to: 80 }]?',
    ],
    [
      'publish:\n  - 192.0.2.1:53:5353/udp\n  - tcp/8080\n',
      '2:5: error: an item of "publish" must be a mapping, not "192.0.2.1:53:5353/udp": did you mean { udp: 53, to: 5353, on: 192.0.2.1 }?',
      '3:5: error: an item of "publish" must be a mapping, not "tcp/8080": did you mean { tcp: 8080 }?',
    ],
    ['masquerade: yes\n', '1:13: error: "yes" is no address: did you mean true?'],
    [
      'routes: 198.51.100.64/28, 203.0.113.0/28\n',
      '1:9: error: "198.51.100.64/28, 203.0.113.0/28" is no prefix: did you mean [198.51.100.64/28, 203.0.113.0/28]?',
    ],
    [allow('ssh, https'), '3:14: error: "ssh, https" is no service: did you mean [ssh, https]?'],
    [allow('[ssh https]'), '3:15: error: "ssh https" is no service: did you mean [ssh, https]?'],
    [to('host, lan'), '4:11: error: "host, lan" is no peer: did you mean [host, lan]?'],
    [to('192.0.2.1,192.0.2.2'), '4:11: error: "192.0.2.1,192.0.2.2" is no peer: did you mean [192.0.2.1, 192.0.2.2]?'],
    [to('deb.debian.org'), '4:11: error: "deb.debian.org" is no peer: did you mean "dns:deb.debian.org"?'],
    ['use: base.yaml\n', '1:6: error: unknown profile "base.yaml": write it without .yaml'],
    [to('set:mirrors.txt'), '4:11: error: unknown set "mirrors.txt": write it without .txt'],
    [
      rule('allow: ssh\n      to: any\n      limit: 20'),
      '5:14: error: "limit" must be text, not 20: with a unit, such as 20/second',
    ],
  ]);

  test('of the configuration too', () => {
    const problems = (text: string) =>
      parseConfig('routewall.yaml', text).problems.map((problem) => formatProblem(problem));
    expect(problems('lxcPaths: /var/lib/lxc\nguard: "veth*, tap*"\nuplinks: eth0, eth1\n')).toEqual([
      'routewall.yaml:1:11: error: "lxcPaths" must be a list, not "/var/lib/lxc": did you mean [/var/lib/lxc]?',
      'routewall.yaml:2:8: error: "guard" must be a list, not "veth*, tap*": did you mean [veth*, tap*]?',
      'routewall.yaml:3:10: error: "eth0, eth1" is no interface name: write auto, or names such as [eth0, eth1]',
    ]);
    expect(problems('withoutPolicy: deny\nbackend: nft\nresync: 60s\nmetrics: { listen: 9100 }\n')).toEqual([
      'routewall.yaml:1:16: error: "withoutPolicy" is one of closed, open, not "deny": did you mean "closed"?',
      'routewall.yaml:4:20: error: "listen" must be text, not 9100: such as "127.0.0.1:9100"',
      'routewall.yaml:3:9: error: "resync" must be a whole number, not "60s": did you mean 60?',
      'routewall.yaml:2:10: error: "backend" is one of auto, nftables, iptables, not "nft": did you mean "nftables"?',
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
