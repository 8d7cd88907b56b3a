/** Which packets others' chains are asked about: those that a policy allows, by the interfaces that they really take. */
import { expect, test } from 'vitest';
import { examineFlows } from '../../../controller/doctor/examine-flows.ts';
import type { ForeignChain } from '../../../controller/doctor/foreign-ruleset.ts';
import type { HostNetwork } from '../../../policies/host-network.ts';
import { parseAddress, parsePrefix, rangeOf } from '../../../render/address.ts';
import type { NicState } from '../../../render/desired.ts';
import { certain, nicOf, stateOf, veth } from '../states.ts';

const match = (key: string, right: string) => ({ match: { op: '==', left: { meta: { key } }, right } });
/** As an administrator writes it beside a bridge: what comes from it passes, and nothing else. */
const FORWARD: ForeignChain = {
  ...{ table: 'inet filter', name: 'forward' },
  base: { hook: 'forward', priority: 0, policy: 'drop' },
  rules: [[match('iifname', 'br0'), { accept: null }]],
};

const lan = certain(parsePrefix('192.0.2.0/24'));
const network: HostNetwork = {
  uplinks: [veth('eth0')],
  onLink: [{ dev: veth('eth0'), prefix: lan, range: rangeOf(lan) }],
  links: new Map(),
  addresses: new Set([certain(parseAddress('192.0.2.1'))]),
};

/** On the bridge, open to one address. */
function bridged(number: number, from: string): NicState {
  const nic = nicOf(number, 80);
  const peer = { kind: 'ranges', family: 4, ranges: [rangeOf(certain(parsePrefix(`${from}/32`)))] } as const;
  const [rule] = nic.ingress.rules;
  return {
    ...nic,
    port: { bridge: veth('br0') } as NonNullable<NicState['port']>,
    egress: { ...nic.egress, rules: [] },
    ingress: { ...nic.ingress, rules: [{ ...certain(rule), peer }] },
  };
}

const found = (...nics: readonly NicState[]): string[] => {
  const host = { desired: stateOf(...nics), network };
  return examineFlows(nics, { chains: [FORWARD], uplinks: ['eth0'], host }).map(({ message }) => message);
};

test("a neighbour's packets come in by the bridge, not by the uplink", () => {
  expect(found(bridged(1, '198.51.100.2'), bridged(2, '198.51.100.1'))).toEqual([]);
  expect(found(bridged(1, '203.0.113.80'))).toEqual([
    "chain forward of table inet filter drops tcp/80 to c1, which its policy allows: by that chain's default (policy drop)",
  ]);
});
