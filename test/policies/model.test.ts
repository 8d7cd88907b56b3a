import { describe, expect, test } from 'vitest';
import { evaluateChain, type Packet } from '../../policies/model.ts';
import { compileText } from './compile-texts.ts';
import { packet, testHost } from './packets.ts';

/** What one rule `allow: SERVICE, to: PEER` says about a packet to the outside. */
const allows = (service: string, peer: string, to: Packet): boolean => {
  const compiled = compileText(`egress: {rules: [{allow: ${service}, to: ${peer}}]}`);
  expect(compiled.problems).toEqual([]);
  return evaluateChain(compiled.default.egress, to, testHost).verdict === 'allow';
};

describe('services', () => {
  test.each<[service: string, words: string, expected: boolean]>([
    ['any', 'tcp/1', true],
    ['any', 'icmp4/3', true],
    ['tcp/80', 'tcp/80', true],
    ['tcp/80', 'tcp/81', false],
    ['tcp/80', 'udp/80', false],
    ['udp/10-20', 'udp/20', true],
    ['udp/10-20', 'udp/21', false],
    ['sctp/5', 'sctp/5', true],
    ['proto/47', 'proto/47', true],
    ['proto/6', 'tcp/9', true],
    ['proto/47', 'proto/50', false],
    ['icmp', 'icmp4/8', true],
    ['icmp', 'icmp4/3', false],
    ['icmp', 'icmp4/12', false],
    ['icmp/echo-request', 'icmp4/8', true],
    ['icmp/echo-request', 'icmp4/0', false],
    ['icmp4', 'icmp4/0', true],
    ['tcp/80', 'icmp4/8', false],
  ])('%s and a packet of %s: %s', (service, words, expected) => {
    expect(allows(service, 'any', packet(words, '203.0.113.1'))).toBe(expected);
  });

  test.each<[service: string, words: string, expected: boolean]>([
    ['icmp', 'icmp6/128', true],
    ['icmp', 'icmp6/1', false],
    ['icmp', 'icmp6/134', false],
    ['icmp6', 'icmp6/135', true],
    ['icmp4', 'icmp6/128', false],
    ['icmp/echo-request', 'icmp6/128', true],
    ['icmp/echo-request', 'icmp6/8', false],
  ])('%s and a packet of %s by IPv6: %s', (service, words, expected) => {
    expect(allows(service, 'any', packet(words, '2001:db8::1'))).toBe(expected);
  });
});

describe('peers', () => {
  test.each<[peer: string, address: string, expected: boolean]>([
    ['any', '10.0.0.1', true],
    ['host', '192.0.2.1', true],
    ['host', '192.0.2.2', false],
    ['host', '2001:db8::1', true],
    ['lan', '192.0.2.2', true],
    ['lan', '198.51.100.1', false],
    ['internet', '203.0.113.200', true],
    ['internet', '2001:db8:ffff::1', true],
    ['internet', '192.0.2.1', false],
    ['internet', '192.0.2.2', false],
    ['internet', '198.51.100.1', false],
    ['internet', '10.1.2.3', false],
    ['internet', '100.64.0.1', false],
    ['internet', '169.254.0.1', false],
    ['internet', '172.31.255.255', false],
    ['internet', '172.32.0.0', true],
    ['internet', '192.168.1.1', false],
    ['internet', '224.0.0.1', false],
    ['internet', '255.255.255.255', false],
    ['internet', '127.0.0.1', false],
    ['internet', '0.0.0.0', false],
    ['internet', 'fd00::1', false],
    ['internet', 'fe80::1', false],
    ['internet', 'ff02::1', false],
    ['internet', '::1', false],
    ['203.0.113.0/24', '203.0.113.255', true],
    ['203.0.113.0/24', '203.0.114.0', false],
    ['203.0.113.5-203.0.113.7', '203.0.113.4', false],
    ['203.0.113.5-203.0.113.7', '203.0.113.5', true],
    ['203.0.113.5-203.0.113.7', '203.0.113.7', true],
    ['203.0.113.5-203.0.113.7', '203.0.113.8', false],
    ['[203.0.113.1, 203.0.113.3, 203.0.113.9]', '203.0.113.3', true],
    ['[203.0.113.1, 203.0.113.3, 203.0.113.9]', '203.0.113.4', false],
    ['0.0.0.0/0', '203.0.113.1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['container:builder', '2001:db8::10', true],
    ['container:builder', '2001:db8::11', false],
  ])('%s and a packet to %s: %s', (peer, address, expected) => {
    expect(allows('tcp/80', peer, packet('tcp/80', address))).toBe(expected);
  });

  test('the peer of ingress is the source', () => {
    const { ingress } = compileText('ingress: {rules: [{allow: ssh, from: 203.0.113.1}]}').default;
    const to = packet('tcp/22', '203.0.113.1');
    const from = { ...to, source: to.destination, destination: to.source };
    expect(evaluateChain(ingress, from, testHost).verdict).toBe('allow');
    expect(evaluateChain(ingress, to, testHost).verdict).toBe('drop');
  });
});

test('what a policy that observes refuses passes, in the directions that it observes', () => {
  const { egress, ingress } = compileText(`mode: observe-egress
until: 2026-06-08T00:00:00Z
egress:
  rules:
    - reject: smtp
      to: any
    - allow: dns
      to: any
`).default;
  const said = (words: string) => {
    const { verdict, steps } = evaluateChain(egress, packet(words, '203.0.113.1'), testHost);
    return [verdict, steps.at(-1)?.observed, steps.at(-1)?.origin?.line];
  };
  expect(said('tcp/25')).toEqual(['allow', 'reject', 5]);
  expect(said('tcp/26')).toEqual(['allow', 'drop', undefined]);
  expect(said('udp/53')).toEqual(['allow', undefined, 7]);
  expect(evaluateChain(ingress, packet('tcp/26', '203.0.113.1'), testHost).verdict).toBe('drop');
});

test('the first rule that matches decides, and log rules are steps on the way', () => {
  const { egress } = compileText(`egress:
  default: reject
  log: true
  rules:
    - log: tcp/25
      to: any
    - drop: smtp
      to: 203.0.113.0/24
      log: true
    - allow: any
      to: 203.0.113.0/24
`).default;
  const steps = (words: string, to: string) =>
    evaluateChain(egress, packet(words, to), testHost).steps.map(
      ({ action, logged, origin }) => `${origin?.line} ${action}${logged ? ', logged' : ''}`,
    );
  expect(steps('tcp/25', '203.0.113.1')).toEqual(['5 log, logged', '7 drop, logged']);
  expect(steps('tcp/26', '203.0.113.1')).toEqual(['10 allow']);
  expect(steps('tcp/25', '198.51.100.1')).toEqual(['5 log, logged', '2 reject, logged']);
  expect(evaluateChain(egress, packet('tcp/26', '198.51.100.1'), testHost).rule).toBeNull();
});
