import { describe, expect, test } from 'vitest';
import { compileText, problemsOf } from './compile-texts.ts';

/** A policy of one egress rule; the rule stands in line 3. */
const rule = (text: string) => `egress:\n  rules:\n    - ${text}\n`;
const allow = (service: string) => rule(`allow: ${service}\n      to: any`);
const to = (peer: string) => rule(`allow: ssh\n      to: ${peer}`);

type Row = readonly [text: string, ...problems: string[]];

function expectProblems(rows: readonly Row[]): void {
  test.each(rows.map(([text, ...problems]) => ({ text, problems })))('$problems', ({ text, problems }) => {
    const compiled = compileText(text);
    expect(problemsOf(compiled)).toEqual(problems.map((line) => `containers/web.yaml:${line}`));
    expect(compiled.ok).toBe(false);
  });
}

describe('what is no YAML is refused with its place', () => {
  expectProblems([
    [
      'egress: b: c',
      '1:9: error: not valid YAML: a second ": " in one line, or a ":" at its end; put quotes around the text',
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
    [
      'interfaces:\n  eth0:\n    rules: []',
      '3:5: error: unknown key "rules": the keys here are uplink, gateway, egress, ingress, limits',
    ],
    ['limits: { egress: 100 }', '1:19: error: "egress" must be text, not 100: with a unit, such as 100mbit'],
    ['limits: { egress: fast }', '1:19: error: "fast" is no rate: write a number and a unit, such as 100mbit'],
    ['limits: { ingress: 1kbit }', '1:20: error: "1kbit" is less than 8kbit, the least that can be held'],
    [
      'interfaces:\n  eth0:\n    limits: { egress: 200 Gbit }',
      '3:23: error: "200 Gbit" is more than 100gbit: leave the limit out',
    ],
  ]);
});

describe('a rule has one action and its peers', () => {
  expectProblems([
    [rule('to: any'), '3:7: error: the rule does nothing: it needs one of allow, drop, reject and log'],
    [rule('allow: ssh'), '3:7: error: the rule has no "to": name its peers, such as to: host or to: any'],
    [
      'ingress:\n  rules: [drop: ssh]',
      '2:11: error: the rule has no "from": name its peers, such as from: host or from: any',
    ],
    [rule('alow: ssh\n      to: any'), '3:7: error: unknown key "alow": did you mean "allow"?'],
    [rule('allow: ssh\n      from: any'), '4:7: error: "from" has no place in egress: its peers stand in "to"'],
    [
      rule('allow: ssh\n      drop: dns\n      to: any'),
      '3:7: error: the rule has allow and drop: it needs exactly one of them',
    ],
    [
      rule('reject: ssh\n      drop: dns\n      to: any'),
      '3:7: error: the rule has reject and drop: it needs exactly one of them',
    ],
    [
      rule('drop: ssh\n      log: dns\n      to: any'),
      '4:12: error: "log" beside "drop" is true or false; services to log need a rule of their own',
    ],
    [
      rule('log: true\n      to: any'),
      '3:7: error: "log" alone needs services, such as log: ssh; with true it goes beside allow, drop or reject',
    ],
    [rule('allow: []\n      to: any'), '3:14: error: "allow" is empty: give at least one'],
    [to('[]'), '4:11: error: "to" is empty: give at least one'],
    [to(''), '4:11: error: "to" has no value: fill it in or remove it'],
    [rule('allow: ssh\n      to: any\n      enabled: 0'), '5:16: error: "enabled" must be true or false, not 0'],
  ]);
});

describe('a limit is a rate of new flows', () => {
  const limit = (text: string) => rule(`allow: ssh\n      to: any\n      limit: ${text}`);
  expectProblems([
    [limit('20'), '5:14: error: "limit" must be text, not 20: put quotes around it'],
    [limit('fast'), '5:14: error: "fast" is no limit: write 20/second, or 20/second burst 40'],
    [limit('20/s'), '5:14: error: "20/s": the unit is second, minute, hour or day, not "s"'],
    [limit('20/second burst'), '5:14: error: "20/second burst" is no limit: write 20/second, or 20/second burst 40'],
    [limit('0/second'), '5:14: error: "0/second" lets nothing pass: write drop, or remove the rule'],
    [
      limit(`1/second burst ${'9'.repeat(310)}`),
      `5:14: error: "1/second burst ${'9'.repeat(310)}" is more than the kernel can count: write a smaller burst, or no limit`,
    ],
    [limit('1/second burst 0'), '5:14: error: "1/second burst 0": burst is at least 1'],
    [
      limit('1/day burst 200000'),
      '5:14: error: "1/day burst 200000" is more than the kernel can count: write a smaller burst, or no limit',
    ],
    [
      limit('2000000000/second'),
      '5:14: error: "2000000000/second" is more than the kernel can count: write a smaller burst, or no limit',
    ],
    [
      rule('drop: ssh\n      to: any\n      limit: 20/second'),
      '5:7: error: "limit" goes only beside "allow": what is refused needs no limit',
    ],
    [
      rule('log: ssh\n      to: any\n      limit: 20/second'),
      '5:7: error: "limit" goes only beside "allow": what is refused needs no limit',
    ],
  ]);
});

describe('the end of a rule is a moment', () => {
  const until = (text: string) => rule(`allow: ssh\n      to: any\n      until: ${text}`);
  expectProblems([
    [until('2027-01-31'), '5:14: error: "2027-01-31" has no time of day: did you mean "2027-01-31T00:00:00Z"?'],
    [
      until('2027-01-31T00:00:00'),
      '5:14: error: "2027-01-31T00:00:00" has no offset: did you mean "2027-01-31T00:00:00Z"? Or an offset such as +02:00',
    ],
    [
      until('tomorrow'),
      '5:14: error: "tomorrow" is no moment: write 2027-01-31T00:00:00Z, or with an offset 2027-01-31T00:00:00+02:00',
    ],
    [until('2027-02-29T00:00:00Z'), '5:14: error: "2027-02-29T00:00:00Z": there is no such day or time'],
    [until('2027-02-28T24:00:00Z'), '5:14: error: "2027-02-28T24:00:00Z": there is no such day or time'],
    [until('2027-02-28T23:59:60Z'), '5:14: error: "2027-02-28T23:59:60Z": there is no such day or time'],
    [until('2027-02-28T23:59:59+24:00'), '5:14: error: "2027-02-28T23:59:59+24:00": there is no such offset'],
    [
      until('9999-12-31T00:00:00Z'),
      '5:14: error: "9999-12-31T00:00:00Z": the year is 1970 to 2199; a rule that never ends has no "until"',
    ],
    [until('2027'), '5:14: error: "until" must be text, not 2027: put quotes around it'],
    // Switching it on again must hold no surprise.
    [
      `${until('soon')}      enabled: false\n`,
      '5:14: error: "soon" is no moment: write 2027-01-31T00:00:00Z, or with an offset 2027-01-31T00:00:00+02:00',
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
    [
      expectation('{ deny: ssh, to: any }'),
      '2:5: error: the expectation needs one of allow, drop, reject',
      '2:7: error: unknown key "deny": the keys here are allow, drop, reject, to, from, comment',
    ],
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

describe('names', () => {
  const refused = 'since its addresses are never all known: allow what may pass, or name addresses';
  expectProblems([
    [to('"dns:"'), '4:11: error: "dns:" names nothing: write dns:NAME'],
    [to('dns:192.0.2.1'), '4:11: error: "dns:192.0.2.1" is an address: write it without dns:'],
    [to('"dns:*.example"'), '4:11: error: "dns:*.example": a wildcard has no addresses: write each name'],
    [to('dns:a_b..example'), '4:11: error: "dns:a_b..example" is no DNS name: write it as in dns:deb.debian.org'],
    [to('"dns:x example"'), '4:11: error: "dns:x example" is no DNS name: write it as in dns:deb.debian.org'],
    [to('DNS:deb.example'), '4:11: error: "DNS:deb.example" is no peer: did you mean "dns:deb.example"?'],
    [
      rule('drop: ssh\n      to: [host, "dns:deb.example"]'),
      `4:18: error: "dns:deb.example" can't be refused, ${refused}`,
    ],
    [rule('reject: ssh\n      to: dns:deb.example'), `4:11: error: "dns:deb.example" can't be refused, ${refused}`],
  ]);
});

describe('services', () => {
  expectProblems([
    [allow('shh'), '3:14: error: unknown service "shh": did you mean "ssh"?'],
    [allow('frobnicate'), '3:14: error: unknown service "frobnicate"'],
    [allow('80'), '3:14: error: "allow" must be text or a list, not 80: did you mean "tcp/80"?'],
    [allow('[tcp/80, 443]'), '3:23: error: an item of "allow" must be text, not 443: did you mean "tcp/443"?'],
    [allow('80/tcp'), '3:14: error: "80/tcp" is no service: did you mean "tcp/80"?'],
    [allow('SSH'), '3:14: error: "SSH" is no service: did you mean "ssh"?'],
    [allow('TCP/80'), '3:14: error: "TCP/80" is no service: did you mean "tcp/80"?'],
    [
      allow('icmpv6/echo-request'),
      '3:14: error: "icmpv6/echo-request" is no service: did you mean "icmp6/echo-request"?',
    ],
    [allow('tcp'), '3:14: error: "tcp" needs ports, such as tcp/80; all of tcp is proto/6'],
    [allow('tcp/'), '3:14: error: "tcp" needs ports, such as tcp/80; all of tcp is proto/6'],
    [
      allow('tcp/ssh'),
      '3:14: error: "tcp/ssh": "ssh" is no port: write a number from 1 to 65535, or a range 5000-5010',
    ],
    [allow('tcp/0'), '3:14: error: "tcp/0": "0" is no port: ports are 1 to 65535, without leading zeros'],
    [allow('udp/65536'), '3:14: error: "udp/65536": "65536" is no port: ports are 1 to 65535, without leading zeros'],
    [allow('udp/053'), '3:14: error: "udp/053": "053" is no port: ports are 1 to 65535, without leading zeros'],
    [allow('tcp/90-80'), '3:14: error: "tcp/90-80": "90-80" runs backwards: did you mean "80-90"?'],
    [allow('tcp/80:90'), '3:14: error: "tcp/80:90": "80:90" is no range of ports: did you mean "80-90"?'],
    [allow('any/80'), '3:14: error: "any/80": any stands alone'],
    [allow('proto/256'), '3:14: error: "proto/256": write an IP protocol number from 0 to 255, such as proto/47'],
    [allow('proto/1'), '3:14: error: "proto/1": write icmp4, which leaves out the error messages'],
    [allow('icmp/8'), '3:14: error: "icmp/8": numbers differ between the families: write icmp4/8 or icmp6/8'],
    [
      allow('icmp/timestamp-request'),
      '3:14: error: "icmp/timestamp-request": only ICMPv4 has this type: write icmp4/timestamp-request',
    ],
    [
      allow('icmp/echo-requst'),
      '3:14: error: "icmp/echo-requst": unknown ICMP type "echo-requst": did you mean "echo-request"?',
    ],
    [allow('icmp6/256'), '3:14: error: "icmp6/256": unknown ICMP type "256"'],
    [
      allow('icmp6/nd-router-advert'),
      '3:14: error: "icmp6/nd-router-advert" is what only a router says: it never passes; remove it',
    ],
  ]);

  test.each([
    'icmp/destination-unreachable',
    'icmp4/3',
    'icmp4/source-quench',
    'icmp/redirect',
    'icmp/time-exceeded',
    'icmp4/parameter-problem',
    'icmp6/packet-too-big',
    'icmp6/1',
    'icmp6/nd-redirect',
  ])('the ICMP error %s is refused, since it belongs to its flow', (service) => {
    const message = `"${service}" is an error message: it passes by itself with the flow it is about; remove it`;
    expect(problemsOf(compileText(allow(service)))).toEqual([`containers/web.yaml:3:14: error: ${message}`]);
  });
});

describe('peers', () => {
  expectProblems([
    [to('hosts'), '4:11: error: "hosts" is no peer: did you mean "host"?'],
    [to('contianer:builder'), '4:11: error: "contianer:builder" is no peer: did you mean "container:builder"?'],
    [to('"container:"'), '4:11: error: "container:" names nothing: write container:NAME'],
    [
      to('builder'),
      '4:11: error: "builder" is no peer: write any, host, lan, internet, container:NAME, group:NAME, set:NAME, dns:NAME or an address; did you mean "container:builder"?',
    ],
    [to('container:bilder'), '4:11: error: unknown container "bilder": did you mean "container:builder"?'],
    [to('container:bare'), '4:11: error: the container "bare" has no routed addresses: a rule can\'t name it'],
    [to('group:c1'), '4:11: error: unknown group "c1": did you mean "group:ci"?'],
    [to('group:empty'), '4:11: error: the group "empty" has no routed addresses: a rule can\'t name it'],
    [to('set:mirrors'), '4:11: error: unknown set "mirrors": there is no sets/mirrors.yaml or .txt'],
    [to('192.0.2.300'), '4:11: error: "192.0.2.300" is no address or prefix'],
    [to('192.0.2.010'), '4:11: error: "192.0.2.010" is no address or prefix'],
    [to('192.0.2.0/33'), '4:11: error: "192.0.2.0/33" is no address or prefix'],
    [
      to('"fe80::1%eth0"'),
      '4:11: error: "fe80::1%eth0" is no peer: write any, host, lan, internet, container:NAME, group:NAME, set:NAME, dns:NAME or an address',
    ],
    [
      to('192.0.2.9-192.0.2.1'),
      '4:11: error: "192.0.2.9-192.0.2.1" is no range: write FIRST-LAST, two addresses of one family, the lower one first',
    ],
    [
      to('192.0.2.1-2001:db8::1'),
      '4:11: error: "192.0.2.1-2001:db8::1" is no range: write FIRST-LAST, two addresses of one family, the lower one first',
    ],
  ]);
});

describe('a rule whose two sides have no family in common can match nothing', () => {
  expectProblems([
    [
      rule('allow: icmp6/echo-request\n      to: 192.0.2.1'),
      '3:14: error: "icmp6/echo-request" is IPv6 only, and the peers are IPv4 only: the rule can\'t match',
    ],
    [
      rule('allow: [ssh, icmp4]\n      to: 2001:db8::1'),
      '3:20: error: "icmp4" is IPv4 only, and the peers are IPv6 only: the rule can\'t match',
    ],
    [
      rule('allow: icmp6\n      to: container:legacy'),
      '3:14: error: "icmp6" is IPv6 only, and the peers are IPv4 only: the rule can\'t match',
    ],
    [
      rule('allow: icmp6\n      to: [192.0.2.1, 2001:db8::1]'),
      '4:12: error: "192.0.2.1" is IPv4 only, and the services are not: the rule can\'t match it',
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
