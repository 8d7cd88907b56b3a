/** What each NIC needs if it runs, out of its container's configuration and policy. */
import type { Prefix } from '../render/address.ts';
import type { Bandwidth } from '../render/desired.ts';
import type { PolicyChain } from '../render/rule.ts';
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

/** Everything about NICs that doesn't depend on whether they run; the same object as before where nothing changed. */
export function planNics(
  containers: Iterable<Container>,
  policies: ReadonlyMap<string, EnforcedPolicy>,
  before: ReadonlyMap<string, NicPlan>,
  canonical: (chain: PolicyChain) => PolicyChain,
): Map<string, NicPlan> {
  const plans = new Map<string, NicPlan>();
  for (const container of containers) {
    const policy = policies.get(container.id);
    if (policy === undefined) continue;
    for (const endpoint of container.endpoints) {
      const old = before.get(endpoint.key);
      const isOld = old?.container === container && old.policy === policy && hasCanonical(old, canonical);
      plans.set(endpoint.key, isOld ? old : samePlan(old, planNic(container, endpoint, policy, canonical)));
    }
  }
  return plans;
}

function planNic(
  container: Container,
  endpoint: Endpoint,
  policy: EnforcedPolicy,
  canonical: (chain: PolicyChain) => PolicyChain,
): NicPlan {
  const { egress, ingress, limits, uplink } = policyOfNic(policy, { name: endpoint.nic, index: endpoint.index });
  const { tables } = policy;
  const { attachment } = endpoint;
  const carriesRoutes = policy.routes.length > 0 && container.endpoints.find(isRouted) === endpoint;
  const nat =
    policy.nat === undefined || attachment !== undefined
      ? undefined
      : planNat(policy.nat, endpoint, container.endpoints.filter(isRouted));
  return {
    container,
    policy,
    endpoint,
    // A policy's routes are the container's; its first routed NIC carries them.
    prefixes: claimedPrefixes(endpoint, carriesRoutes ? policy.routes.map(({ prefix }) => prefix) : []),
    egress: canonical(egress),
    ingress: canonical(ingress),
    ...(nat === undefined ? {} : { nat }),
    ...(limits && { limits }),
    ...(uplink && { uplink }),
    ...(tables && { tables }),
  };
}

const isRouted = ({ attachment }: Endpoint): boolean => attachment === undefined;

/** Which of equal chains stands for them may have changed with others' policies. */
const hasCanonical = ({ egress, ingress }: NicPlan, canonical: (chain: PolicyChain) => PolicyChain): boolean =>
  canonical(egress) === egress && canonical(ingress) === ingress;

function samePlan(before: NicPlan | undefined, plan: NicPlan): NicPlan {
  const same =
    before !== undefined &&
    before.container === plan.container &&
    before.egress === plan.egress &&
    before.ingress === plan.ingress &&
    sameText(before.limits, plan.limits) &&
    before.uplink === plan.uplink &&
    before.tables === plan.tables &&
    samePrefixes(before.prefixes, plan.prefixes) &&
    sameText(before.nat, plan.nat);
  return same ? before : plan;
}

const sameText = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

export const samePrefixes = (a: readonly Prefix[], b: readonly Prefix[]): boolean => a === b || a.join() === b.join();
