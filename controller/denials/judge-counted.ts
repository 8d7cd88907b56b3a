/** What a container's policy says of a packet that the ruleset has counted. */

import { policyOfNic } from '../../policies/compile-policy.ts';
import type { Endpoint } from '../../policies/endpoint.ts';
import { type Evaluation, evaluateChain } from '../../policies/model.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { enforced } from '../../policies/rule-ends.ts';
import { familyOf } from '../../render/address.ts';
import type { Direction, PolicyChain } from '../../render/rule.ts';
import { destinationSide, type FlowHost, sourceSide } from '../explain/flow-sides.ts';
import { factsOf } from '../explain/trace-flow.ts';
import type { CountedElement } from './counted-packets.ts';

export type CountedFlow = Pick<CountedElement, 'peer' | 'protocol' | 'port'>;

/** As it is when it doesn't observe. */
export function chainOfNic(policy: EnforcedPolicy, { nic, index }: Endpoint, direction: Direction): PolicyChain {
  return enforced(policyOfNic(policy, { name: nic, index })[direction]);
}

/** `key`: the endpoint's. */
export function judgeCounted(
  host: FlowHost,
  key: string,
  chain: PolicyChain,
  { peer, protocol, port }: CountedFlow,
): Evaluation {
  const nic = host.desired.nics.get(key);
  const from =
    nic === undefined ? ({ kind: 'outside', link: undefined } as const) : ({ kind: 'nic', key, nic } as const);
  const side = chain.direction === 'egress' ? destinationSide(host, peer, from) : sourceSide(host, peer);
  const family = familyOf(peer);
  const isIcmp = protocol === (family === 4 ? 1 : 58);
  // Nobody looks at the container's own address.
  const packet = { family, source: peer, destination: peer, protocol };
  return evaluateChain(chain, { ...packet, ...(isIcmp ? { icmpType: port >> 8 } : { port }) }, factsOf(host, side));
}
