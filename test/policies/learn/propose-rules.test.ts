/** The rules that learning proposes: few, readable, and no wider than they say. */
import { describe, expect, test } from 'vitest';
import type { PeerNames } from '../../../policies/learn/name-peers.ts';
import { proposeRules } from '../../../policies/learn/propose-rules.ts';
import type { Seen } from '../../../policies/learn/seen.ts';
import { loadPolicies } from '../../../policies/load-policies.ts';
import { parseAddress, parseRange } from '../../../render/address.ts';
import { certain } from '../../controller/states.ts';
import { filesOf } from '../compile-texts.ts';

const CONTAINERS: Readonly<Record<string, string>> = {
  '198.51.100.1': 'a',
  '198.51.100.2': 'b',
  '2001:db8:100::2': 'b',
  '198.51.100.3': 'c',
};

const names: PeerNames = {
  isHost: (address) => ['192.0.2.1', '169.254.0.1', 'fe80::1'].includes(address),
  containerOf: (address) => CONTAINERS[address],
  isLan: (address) => /^192\.0\.2\./.test(address),
  isInternet: (address) => /^(203|2001)/.test(address),
  groups: new Map([
    ['all', ['a', 'b', 'c']],
    ['some', ['a', 'b']],
  ]),
  sets: new Map([['mirrors', [certain(parseRange('203.0.113.0/25'))]]]),
};

const { services } = loadPolicies(filesOf({ 'services.yaml': 'backup: [rsync, tcp/9102]' }));

/** `tcp/22 192.0.2.1`, or `proto/1.2048 …` for ICMP's type × 256 + code. */
const seen = (text: string, direction: Seen['direction'] = 'egress'): Seen => {
  const [, word = '', port, to = ''] = /^(\w+)(?:\/(\d+))? (\S+)$/.exec(text) ?? [];
  const protocols: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmp6: 58, gre: 47 };
  const peer = certain(parseAddress(to));
  return {
    direction,
    key: 'web/0',
    peer,
    protocol: protocols[word] ?? 0,
    port: Number(port ?? 0),
    packets: 2,
    lastSeen: 5000,
  };
};

function propose(texts: readonly string[], widen = true): string[] {
  const { rules } = proposeRules(
    texts.map((text) => seen(text)),
    { names, services, widen: () => widen },
  );
  return rules.map(({ services: words, peers, wider }) =>
    [`${words.join(' ')} to ${peers.join(' ')}`, ...wider.map((what) => `(${what})`)].join(' '),
  );
}

const each = (count: number, text: (number: number) => string): string[] =>
  Array.from({ length: count }, (_, n) => text(n + 1));

describe('services', () => {
  test.each([
    ['by name where all of it was seen', ['tcp/873 192.0.2.1', 'tcp/9102 192.0.2.1'], ['backup to host']],
    ['by name where TCP or UDP of it was seen, which is said', ['udp/53 192.0.2.1'], ['dns to host (dns: tcp/53 too)']],
    [
      'ports without a name in one word',
      ['tcp/7001 192.0.2.1', 'tcp/7003 192.0.2.1', 'udp/7001 192.0.2.1'],
      ['tcp/7001,7003 udp/7001 to host'],
    ],
    [
      'a message of both families once',
      ['icmp/2048 192.0.2.7', 'icmp6/32768 2001:db8::7'],
      ['ping to 192.0.2.7 2001:db8::7'],
    ],
    ['protocols without ports', ['gre 192.0.2.1'], ['gre to host']],
    [
      'many ports that stacks choose as their range, which is said',
      each(9, (n) => `tcp/${40000 + n} 192.0.2.1`),
      ['tcp/32768-60999 to host (tcp/32768-60999: ports of many connections)'],
    ],
  ])('%s', (_name, texts, rules) => expect(propose(texts)).toEqual(rules));

  test('nothing is wider than seen where that would undo what a profile refuses', () => {
    expect(propose(['udp/53 192.0.2.1'], false)).toEqual(['udp/53 to host']);
    expect(
      propose(
        each(9, (n) => `tcp/${40000 + n} 192.0.2.1`),
        false,
      )[0],
    ).toMatch(/^tcp\/40001,40002,.*40009 to host$/);
    expect(
      propose(
        each(6, (n) => `tcp/22 198.18.0.${n}`),
        false,
      )[0]
        ?.split(' to ')[1]
        ?.split(' '),
    ).toHaveLength(6);
  });
});

describe('peers', () => {
  test.each([
    [
      'containers by name, whatever their address',
      ['tcp/22 198.51.100.2', 'tcp/22 2001:db8:100::2'],
      ['ssh to container:b'],
    ],
    [
      'a group where each of its containers was seen',
      ['tcp/22 198.51.100.1', 'tcp/22 198.51.100.2'],
      ['ssh to group:some'],
    ],
    [
      'a set of which two were seen, which is said',
      ['tcp/80 203.0.113.1', 'tcp/80 203.0.113.9'],
      ['http to set:mirrors (set:mirrors: all of set:mirrors)'],
    ],
    ['one of a large set as itself', ['tcp/80 203.0.113.1'], ['http to 203.0.113.1']],
    ['the host by its gateway too', ['tcp/80 169.254.0.1', 'tcp/80 fe80::1'], ['http to host']],
    [
      'more than four of a network as that network, which is said',
      each(5, (n) => `tcp/22 198.18.0.${n}`),
      ['ssh to 198.18.0.0/24 (198.18.0.0/24: 5 addresses of that network)'],
    ],
    [
      'many networks as the internet, which is said',
      each(9, (n) => `tcp/80 2001:db8:${n}::1`),
      ['http to internet (internet: 9 addresses, more than are listed)'],
    ],
  ])('%s', (_name, texts, rules) => expect(propose(texts)).toEqual(rules));
});

test('rules are shared by services or by peers, whichever makes fewer', () => {
  expect(propose(['tcp/22 192.0.2.1', 'tcp/80 192.0.2.1', 'tcp/80 198.51.100.3', 'tcp/443 198.51.100.3'])).toEqual([
    'http ssh to host',
    'http https to container:c',
  ]);
  expect(propose(['tcp/22 192.0.2.1', 'tcp/22 198.51.100.3', 'tcp/80 198.51.100.3', 'tcp/80 198.51.100.1'])).toEqual([
    'ssh to host container:c',
    'http to container:a container:c',
  ]);
});

test('what is no service of anybody is left to people, with the reason', () => {
  const list = [
    seen('udp/5353 224.0.0.251'),
    seen('udp/547 fe80::7'),
    seen('udp/40000 192.0.2.1'),
    ...each(33, (n) => `tcp/${n} 198.18.0.1`).map((text) => seen(text, 'ingress')),
    seen('tcp/22 198.18.0.1'),
  ];
  const { rules, leftOut } = proposeRules(list, { names, services, widen: () => true });
  expect(rules.map(({ services: words }) => words)).toEqual([['ssh']]);
  expect([...new Set(leftOut.map(({ reason }) => reason.replace(/:.*/, '')))]).toEqual([
    'multicast or broadcast',
    'link-local',
    'UDP to a port of clients',
    'one of more than 32 ports',
  ]);
  expect(leftOut).toHaveLength(36);
});
