/** What each NIC needs if it runs, out of its container's configuration and policy. */
import type { Prefix } from '../render/address.ts';
import type { Bandwidth } from '../render/desired.ts';
import type { PolicyChain } from '../render/rule.ts';
import { canonicalChains } from './canonical-chains.ts';
import { claimedPrefixes } from './compile-nic.ts';
import { type CompiledPolicy, policyOfNic } from './compile-policy.ts';
import type { UplinkChoice } from './compile-uplink.ts';
import type { Container, Endpoint } from './endpoint.ts';
import { type NatPlan, planNat } from './nic-nat.ts';

/** What decides about one container: its policy as it is enforced, be it the last good one. */
export type EnforcedPolicy = Pick<CompiledPolicy, 'default' | 'interfaces' | 'routes' | 'tables' | 'nat'>;

/** What a NIC needs if it runs. */
export interface NicPlan {
  readonly container: Container;
  /** It was made from this one; from another that says the same of the NIC, it would be the same. */
  readonly policy: EnforcedPolicy;
  readonly endpoint: Endpoint;
  readonly prefixes: readonly Prefix[];
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
  /** Absent where its policy translates nothing. */
  readonly nat?: NatPlan;
  readonly limits?: Bandwidth;
  readonly uplink?: UplinkChoice;
  readonly tables?: readonly number[];
}

/** Everything about a NIC that doesn't depend on whether it runs; the same object as before where nothing changed. */
export function planNics(
  containers: readonly Container[],
  policies: ReadonlyMap<string, EnforcedPolicy>,
  before: ReadonlyMap<string, NicPlan>,
): Map<string, NicPlan> {
  const canonical = canonicalChains(policies.values());
  const plans = new Map<string, NicPlan>();
  for (const container of containers) {
    const policy = policies.get(container.id);
    if (policy === undefined) continue;
    const routed = container.endpoints.filter(({ attachment }) => attachment === undefined);
    for (const endpoint of container.endpoints) {
      const old = before.get(endpoint.key);
      if (old?.container === container && old.policy === policy && hasCanonical(old, canonical)) {
        plans.set(endpoint.key, old);
        continue;
      }
      const { egress, ingress, limits, uplink } = policyOfNic(policy, { name: endpoint.nic, index: endpoint.index });
      const { tables } = policy;
      const { attachment } = endpoint;
      // A policy's routes are the container's; its first routed NIC carries them.
      const routes = endpoint === routed[0] ? policy.routes.map(({ prefix }) => prefix) : [];
      const nat = attachment === undefined ? planNat(policy.nat, endpoint, routed) : undefined;
      const plan: NicPlan = {
        container,
        policy,
        endpoint,
        prefixes: claimedPrefixes(endpoint, routes),
        egress: canonical(egress),
        ingress: canonical(ingress),
        ...(nat === undefined ? {} : { nat }),
        ...(limits && { limits }),
        ...(uplink && { uplink }),
        ...(tables && { tables }),
      };
      plans.set(endpoint.key, samePlan(old, plan));
    }
  }
  return plans;
}

/** Which of equal chains stands for them may have changed with others' policies. */
const hasCanonical = ({ egress, ingress }: NicPlan, canonical: (chain: PolicyChain) => PolicyChain): boolean =>
  canonical(egress) === egress && canonical(ingress) === ingress;

function samePlan(before: NicPlan | undefined, plan: NicPlan): NicPlan {
  const same =
    before !== undefined &&
    before.container === plan.container &&
    before.egress === plan.egress &&
    before.ingress === plan.ingress &&
    JSON.stringify(before.limits) === JSON.stringify(plan.limits) &&
    before.uplink === plan.uplink &&
    before.tables === plan.tables &&
    samePrefixes(before.prefixes, plan.prefixes) &&
    JSON.stringify(before.nat) === JSON.stringify(plan.nat);
  return same ? before : plan;
}

export const samePrefixes = (a: readonly Prefix[], b: readonly Prefix[]): boolean => a === b || a.join() === b.join();
