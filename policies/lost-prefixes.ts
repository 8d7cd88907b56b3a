/** Prefixes that a NIC asks for and can't have: the host's own, those that others took, and one claimant's too many. */
import { contains, hostPrefix, isHostPrefix, networkOf, type Prefix, rangeOf } from '../render/address.ts';
import { type Claim, type ContestedClaim, findContested, type RefusedClaim } from './claims.ts';
import type { Place } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import { type EnforcedPolicy, type NicPlan, samePrefixes } from './nic-plans.ts';
import type { Report } from './running-nics.ts';
import { type TakenAddresses, whyTaken } from './taken-addresses.ts';

interface ClaimInput {
  readonly network: HostNetwork;
  readonly policies: ReadonlyMap<string, Pick<EnforcedPolicy, 'routes'>>;
  readonly taken?: TakenAddresses | undefined;
}

/** Prefixes that a NIC asks for and doesn't get, by its key; each is reported. */
export function lostPrefixes(
  plans: ReadonlyMap<string, NicPlan>,
  conflicts: readonly RefusedClaim[],
  { network, policies, taken = new Map() }: ClaimInput,
  report: Report,
): Map<string, Set<Prefix>> {
  const lost = new Map<string, Set<Prefix>>();
  const lose = (plan: NicPlan, prefix: Prefix, why: string): void => {
    lost.set(plan.endpoint.key, (lost.get(plan.endpoint.key) ?? new Set()).add(prefix));
    const place = placeOf(plan, prefix, policies);
    report(plan.container, { ...place, column: 1, message: `${shown(prefix)} ${why}`, severity: 'error' });
  };
  const own = new Set([...network.addresses].map(hostPrefix));
  for (const plan of plans.values()) {
    for (const prefix of plan.prefixes) {
      if (own.has(prefix)) lose(plan, prefix, 'is an address of this host: the container needs one of its own');
      else if (!isHostPrefix(prefix)) {
        const inside = [...network.addresses].find((address) => contains(rangeOf(prefix), address));
        if (inside !== undefined) lose(plan, prefix, `holds ${inside}, an address of this host: leave it out`);
      }
      const why = whyTaken(prefix, taken);
      if (why !== undefined) lose(plan, prefix, why);
    }
  }
  for (const refused of conflicts) {
    const plan = plans.get(refused.key);
    if (plan !== undefined) lose(plan, refused.prefix, conflictText(refused));
  }
  return lost;
}

const conflictText = ({ container, owner }: RefusedClaim): string =>
  owner === container
    ? 'is claimed by two NICs of this container: give each its own'
    : `belongs to container ${owner}: this one gets it when ${owner} stops, or give it another address`;

/** An edit of a policy mostly changes rules alone, and claims are compared each with its neighbours. */
export const claimTheSame = (before: ReadonlyMap<string, NicPlan>, plans: ReadonlyMap<string, NicPlan>): boolean =>
  before === plans ||
  (before.size === plans.size &&
    [...plans].every(([key, { prefixes }]) => {
      const old = before.get(key)?.prefixes;
      return old !== undefined && samePrefixes(old, prefixes);
    }));

export function contestedClaims(plans: ReadonlyMap<string, NicPlan>): ContestedClaim[] {
  const claims = [...plans].flatMap(([key, { container, prefixes }]): Claim[] =>
    prefixes.map((prefix) => ({ key, container: container.name, prefix })),
  );
  return findContested(claims);
}

function placeOf({ container, endpoint }: NicPlan, prefix: Prefix, policies: ClaimInput['policies']): Place {
  const route = policies.get(container.id)?.routes.find((route) => route.prefix === prefix)?.origin;
  return endpoint.places.get(prefix) ?? route ?? { file: container.file, line: 1 };
}

const shown = (prefix: Prefix): string => (isHostPrefix(prefix) ? networkOf(prefix) : prefix);
