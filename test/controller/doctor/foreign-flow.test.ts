/** How sure `explain` is of what other programs drop: by which interfaces what is beyond the host's own networks comes and goes. */
import { expect, test } from 'vitest';
import { addressesBeyond, judgeFlow } from '../../../controller/doctor/foreign-flow.ts';
import type { ForeignChain } from '../../../controller/doctor/foreign-ruleset.ts';
import type { HostNetwork } from '../../../policies/host-network.ts';
import { parseAddress, parsePrefix, rangeOf } from '../../../render/address.ts';
import { certain, nicOf, stateOf, veth } from '../states.ts';

const match = (key: string, right: string) => ({ match: { op: '==', left: { meta: { key } }, right } });
/** As Docker has it: its own containers' packets pass. */
const FORWARD: ForeignChain = {
  ...{ table: 'ip filter', name: 'FORWARD' },
  base: { hook: 'forward', priority: 0, policy: 'drop' },
  rules: [[match('iifname', 'docker0'), { accept: null }]],
};

const lan = certain(parsePrefix('192.0.2.0/24'));
const network: HostNetwork = {
  uplinks: ['eth0', 'eth1', 'docker0'].map(veth),
  onLink: [{ dev: veth('eth0'), prefix: lan, range: rangeOf(lan) }],
  links: new Map(),
  addresses: new Set([certain(parseAddress('192.0.2.1'))]),
};
const host = { desired: stateOf(nicOf(1, 80)), network };
const BEYOND = certain(parseAddress('203.0.113.80'));

const judged = (source: string, ...ways: readonly string[]): readonly boolean[] => {
  const flow = { source, destination: '198.51.100.1', service: 'tcp/80' };
  const facts = { sysctl: () => undefined, waysTo: new Map([[BEYOND, new Set(ways)]]) };
  return judgeFlow([FORWARD], host, flow, facts).drops.map(({ sure }) => sure);
};

test.each([
  [['eth0'], [true]],
  [['eth0', 'eth1'], [true]],
  [['eth0', 'docker0'], [false]],
  [['docker0'], []],
  // Nothing is known, or nothing of uplinks: it may be any.
  [[], [false]],
  [['lo'], [false]],
])('what may come in by %j: %j', (ways, sure) => {
  expect(judged(BEYOND, ...ways)).toEqual(sure);
});

test('a neighbour comes in by the link that it is on, whatever routes say', () => {
  expect(judged('192.0.2.9', 'docker0')).toEqual([true]);
});

test.each([
  ['203.0.113.80', '198.51.100.1', ['203.0.113.80']],
  ['198.51.100.1', '203.0.113.80', ['203.0.113.80']],
  ['192.0.2.9', '198.51.100.1', []],
  ['192.0.2.1', '198.51.100.1', []],
])('from %s to %s, routes are asked about %j', (source, destination, addresses) => {
  expect(addressesBeyond(host, { source, destination, service: 'tcp/80' })).toEqual(addresses);
});
