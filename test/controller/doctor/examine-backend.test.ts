/** Which of our own rules are in the wrong place, and what the right ones can't do. */
import { expect, it } from 'vitest';
import type { ChosenBackend } from '../../../controller/apply/choose-backend.ts';
import { type BackendFacts, examineBackend } from '../../../controller/doctor/examine-backend.ts';

it.each<[BackendFacts['chosen'], readonly ChosenBackend[], readonly RegExp[]]>([
  ['nftables', ['nftables'], []],
  ['nftables', [], []],
  [
    'nftables',
    ['nftables', 'iptables-legacy'],
    [/^error nftables serves.* by iptables-legacy too.* echo iptables-legacy >>\/state\/backends && systemctl restart/],
  ],
  ['iptables-nft', ['iptables-nft'], [/^note iptables records no refusals/]],
  [
    'iptables-nft',
    ['iptables-legacy', 'nftables'],
    [/^error .* by iptables-legacy too/, /^error .* by nftables too/, /^note /],
  ],
  [{ why: 'backend: iptables: no ipset' }, ['nftables'], [/^error backend: iptables: no ipset null$/]],
])('%j serves, %j hold some', (chosen, holders, expected) => {
  const found = examineBackend({ chosen, holders: new Set(holders), memory: '/state/backends' });
  const told = found.map(({ severity, message, mend }) => `${severity} ${message} ${mend}`);
  expect(told).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
});
