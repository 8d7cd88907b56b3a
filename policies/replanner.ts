/** What NICs need after a change of some containers or policies, where that concerns nobody else. */
import { type Address, contains, rangeOf } from '../render/address.ts';
import type { PolicyChain } from '../render/rule.ts';
import { changedKeys } from '../render/shared-map.ts';
import { changedContainers } from './changed-containers.ts';
import { ClaimIndex } from './claim-index.ts';
import type { Container } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import { lostPrefixes } from './lost-prefixes.ts';
import { type EnforcedPolicy, type NicPlan, planNics, samePrefixes } from './nic-plans.ts';
import type { Problem } from './problem.ts';
import type { TakenAddresses } from './taken-addresses.ts';

interface Planned {
  readonly containers: readonly Container[];
  readonly policies: ReadonlyMap<string, EnforcedPolicy>;
}

interface ReplanInput extends Planned {
  readonly network: HostNetwork;
  readonly taken?: TakenAddresses | undefined;
}

export interface Replanned {
  /** By NIC key, those that are others now; `undefined`: there is none any more. */
  readonly plans: ReadonlyMap<string, NicPlan | undefined>;
  /** Whether what is said of the host may be otherwise, by which veths are named or who is masqueraded. */
  readonly mayConcernHost: boolean;
}

export const NOTHING_REPLANNED: Replanned = { plans: new Map(), mayConcernHost: false };

/** As it was compiled last. */
interface Compiled {
  readonly isEntangled: (key: string) => boolean;
  /** By container id. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

/** NICs that came or have another plan, beside their former one. */
type Changes = readonly (readonly [old: NicPlan | undefined, plan: NicPlan | undefined])[];

/** Follows inputs from one to the next; one that it was asked about and refused is its last. */
export class Replanner {
  readonly #plans: ReadonlyMap<string, NicPlan>;
  readonly #compiled: Compiled;
  readonly #byId: Map<string, Container>;
  readonly #claims: ClaimIndex;
  /** What translations name: whose it is decides about them. */
  readonly #named: readonly Address[];
  #known: Planned;

  /** `plans`: of `known`, in which the caller notes what comes out. */
  constructor(plans: ReadonlyMap<string, NicPlan>, known: Planned, compiled: Compiled) {
    this.#plans = plans;
    this.#known = known;
    this.#compiled = compiled;
    this.#byId = new Map(known.containers.map((container) => [container.id, container]));
    this.#claims = new ClaimIndex([...plans].map(([key, { prefixes }]) => ({ key, prefixes })));
    this.#named = [...plans.values()].flatMap(namedAddresses);
  }

  /** `undefined`: there is something to report, or more may depend on it than the NICs of what changed. */
  replan(input: ReplanInput, canonical: (chain: PolicyChain) => PolicyChain): Replanned | undefined {
    const { containers, policies } = this.#known;
    const { gone, come } = changedContainers(containers, input.containers);
    const edited = changedKeys(policies, input.policies);
    const plans = new Map<string, NicPlan | undefined>();
    for (const container of gone) {
      this.#byId.delete(container.id);
      for (const { key } of container.endpoints) plans.set(key, undefined);
    }
    for (const container of come) this.#byId.set(container.id, container);
    const replanned = new Set(come);
    for (const id of edited) {
      const container = this.#byId.get(id);
      if (container !== undefined) replanned.add(container);
    }
    for (const container of [...gone, ...replanned]) if (this.#compiled.problems.has(container.id)) return undefined;
    const fresh = planNics(replanned, input.policies, this.#plans, canonical);
    for (const { endpoints } of replanned) for (const { key } of endpoints) plans.set(key, fresh.get(key));
    const changes = this.#changesTo(plans);
    if (changes === undefined || !this.#isAlone(changes, input)) return undefined;
    this.#known = input;
    const masquerades = edited.some((id) => isMasquerading(policies.get(id)) || isMasquerading(input.policies.get(id)));
    return { plans, mayConcernHost: masquerades || namedVeths(gone) !== namedVeths(come) };
  }

  /** Without those that are the same. `undefined`: more than these depend on one. */
  #changesTo(plans: Map<string, NicPlan | undefined>): Changes | undefined {
    const changes: [NicPlan | undefined, NicPlan | undefined][] = [];
    for (const [key, plan] of plans) {
      const old = this.#plans.get(key);
      // Bridges, tables of uplinks and published ports are shared.
      if (isShared(old) || isShared(plan) || this.#compiled.isEntangled(key)) return undefined;
      if (old === plan) plans.delete(key);
      else changes.push([old, plan]);
    }
    return changes;
  }

  /** Whether nobody else wants, or names, what these have or had; and they get what they want. */
  #isAlone(changes: Changes, input: ReplanInput): boolean {
    const moved = changes.filter(([old, plan]) => !areAlike(old, plan));
    if (moved.length === 0) return true;
    const gone = moved.flatMap(([old]) => old ?? []);
    const come = moved.flatMap(([, plan]) => plan ?? []);
    if (this.#isNamed([...gone, ...come])) return false;
    return this.#claims.move(gone.map(claimsOf), come.map(claimsOf)) && getAll(come, input);
  }

  #isNamed(plans: readonly NicPlan[]): boolean {
    if (this.#named.length === 0) return false;
    const ranges = plans.flatMap(({ prefixes }) => prefixes.map(rangeOf));
    return this.#named.some((address) => ranges.some((range) => contains(range, address)));
  }
}

const isShared = (plan: NicPlan | undefined): boolean =>
  plan !== undefined && (plan.endpoint.attachment !== undefined || plan.uplink !== undefined || plan.nat !== undefined);

const areAlike = (old: NicPlan | undefined, plan: NicPlan | undefined): boolean =>
  old !== undefined &&
  plan !== undefined &&
  old.container.name === plan.container.name &&
  samePrefixes(old.prefixes, plan.prefixes);

const claimsOf = ({ endpoint: { key }, prefixes }: NicPlan) => ({ key, prefixes });

/** Nothing of it is the host's own, or somebody's on a link. */
function getAll(plans: readonly NicPlan[], input: ReplanInput): boolean {
  let isAny = false;
  const report = (): void => {
    isAny = true;
  };
  lostPrefixes(new Map(plans.map((plan) => [plan.endpoint.key, plan])), [], input, report);
  return !isAny;
}

function namedAddresses({ nat }: NicPlan): Address[] {
  if (nat === undefined) return [];
  const { masquerade, publications } = nat.policy;
  return [
    ...Object.values(masquerade).flatMap((as) => (as.kind === 'address' ? as.address : [])),
    ...publications.flatMap(({ on }) => (on === 'uplinks' ? [] : on)),
  ];
}

const isMasquerading = (policy: EnforcedPolicy | undefined): boolean => policy?.nat?.masqueradeOrigin !== undefined;

const namedVeths = (containers: readonly Container[]): string =>
  containers
    .flatMap(({ endpoints, wired = [] }) => [...endpoints, ...wired].flatMap(({ fixedVeth }) => fixedVeth ?? []))
    .sort()
    .join();
