/** What is wrong with a rule is told with its place and what would be right. */
import { describe, expect, test } from 'vitest';
import { compileText, problemsOf } from './compile-texts.ts';
import { allow, expectProblems, rule, to } from './policy-rows.ts';

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
    [limit('20'), '5:14: error: "limit" must be text, not 20: with a unit, such as 20/second'],
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
    [allow('frobnicate'), '3:14: error: unknown service "frobnicate" (names: man routewall-policy)'],
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
      '3:14: error: "tcp/ssh": "ssh" is no port: write a number from 1 to 65535, or a range 5000-5010, or just ssh',
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
    [to('192.0.2.0/33'), '4:11: error: "192.0.2.0/33" is no address or prefix: IPv4 prefixes are /0 to /32'],
    [
      to('"fe80::1%eth0"'),
      '4:11: error: "fe80::1%eth0" is no address or prefix: write the address without its zone, %eth0',
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
