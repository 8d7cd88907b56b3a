/** Other programs' chains, as nft lists them beside Docker's rules, asked about packets: sure where it can be, never surer. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { ForeignPacket } from '../../../controller/doctor/foreign-match.ts';
import { type ForeignChain, parseChains } from '../../../controller/doctor/foreign-ruleset.ts';
import { judgePacket, type Way } from '../../../controller/doctor/judge-packet.ts';
import { withoutOwn } from '../../../controller/doctor/without-own.ts';

const recorded = new URL('../../../fixtures/recorded/nft-docker.json', import.meta.url);
const chains = withoutOwn(parseChains(JSON.parse(await readFile(recorded, 'utf8'))));

const said = (way: Way, packet: ForeignPacket, all: readonly ForeignChain[] = chains): string[] =>
  judgePacket(all, way, packet).map(
    ({ chain, sure, by }) => `${chain.table} ${chain.name} ${sure ? 'drops' : 'may drop'} by ${by}`,
  );

const TO_WEB = {
  iifname: 'eth0',
  source: '203.0.113.80',
  family: 4,
  oifname: 'web0',
  destination: '198.51.100.10',
  protocol: 'tcp',
  port: 80,
} as const;

test.each<[string, Way, ForeignPacket, string[]]>([
  [
    "Docker's policy hits what it doesn't know",
    'forward',
    TO_WEB,
    ["ip filter FORWARD drops by that chain's default (policy drop)"],
  ],
  [
    'not IPv6, which it has no rules for',
    'forward',
    { ...TO_WEB, family: 6, source: '2001:db8::2', destination: '2001:db8::1' },
    [],
  ],
  ['nor what comes to the host', 'input', { family: 4, iifname: 'web0', protocol: 'tcp', port: 80 }, []],
  [
    'what may be dropped before is dropped by the policy all the same',
    'forward',
    { ...TO_WEB, source: '192.0.2.7', port: 22 },
    ["ip filter FORWARD drops by that chain's default (policy drop)"],
  ],
  ['what an earlier rule accepts is through', 'forward', { ...TO_WEB, iifname: 'docker0' }, []],
  [
    'a chain that is jumped to may accept',
    'forward',
    { ...TO_WEB, oifname: 'docker0', destination: '172.17.0.9' },
    ["ip filter FORWARD may drop by that chain's default (policy drop)"],
  ],
  [
    'sets, ranges, prefixes and wildcards are read',
    'forward',
    { ...TO_WEB, iifname: 'vethAbc', oifname: 'eth9', destination: '203.0.113.80', protocol: 'tcp', port: 150 },
    ["ip filter FORWARD drops by that chain's default (policy drop)", 'inet mine f drops by rule 1 of chain f'],
  ],
  [
    'and what is just beside them is not hit',
    'forward',
    { family: 6, iifname: 'vethAbc', oifname: 'eth9', destination: '2001:db8::1', protocol: 'tcp', port: 150 },
    [],
  ],
  [
    'a reject is a drop, in both families',
    'forward',
    { family: 6, iifname: 'eth5', oifname: 'web0', protocol: 'udp', port: 53 },
    ['inet mine f drops by rule 2 of chain f'],
  ],
  [
    'what is not given may be anything',
    'forward',
    { family: 6, iifname: 'eth5', oifname: 'web0', protocol: 'udp' },
    ['inet mine f may drop by rule 2 of chain f'],
  ],
])('%s', (_, way, packet, expected) => {
  expect(said(way, packet)).toEqual(expected);
});

const chain = (name: string, rules: ForeignChain['rules'], policy?: string): ForeignChain => ({
  ...{ table: 'inet t', name, rules },
  base: policy === undefined ? null : { hook: 'forward', priority: 0, policy },
});

test.each<[string, ForeignChain[], string[]]>([
  [
    'a loop of jumps ends',
    [chain('a', [[{ jump: { target: 'a' } }]], 'drop')],
    ["inet t a may drop by that chain's default (policy drop)"],
  ],
  [
    'goto does not come back',
    [chain('a', [[{ goto: { target: 'b' } }], [{ accept: null }]], 'drop'), chain('b', [])],
    ["inet t a drops by that chain's default (policy drop)"],
  ],
  [
    'a named set can hold anything',
    [
      chain(
        'a',
        [[{ match: { op: '==', left: { meta: { key: 'oifname' } }, right: '@s' } }, { drop: null }]],
        'accept',
      ),
    ],
    ['inet t a may drop by rule 1 of chain a'],
  ],
  [
    'a map of verdicts may accept',
    [chain('a', [[{ vmap: {} }]], 'drop')],
    ["inet t a may drop by that chain's default (policy drop)"],
  ],
  [
    'a limit may not match',
    [chain('a', [[{ limit: {} }, { accept: null }]], 'drop')],
    ["inet t a may drop by that chain's default (policy drop)"],
  ],
  [
    'log and counter decide nothing',
    [chain('a', [[{ log: null }, { counter: null }]], 'drop')],
    ["inet t a drops by that chain's default (policy drop)"],
  ],
])('%s', (_, all, expected) => {
  expect(said('forward', TO_WEB, all)).toEqual(expected);
});
