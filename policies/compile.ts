/** Desired state out of containers, their policies, the veths they run with, and the host's network. */
import { contains, hostPrefix, isHostPrefix, networkOf, type Prefix, rangeOf } from '../render/address.ts';
import type { DesiredState, HostState, NicState } from '../render/desired.ts';
import type { DnsAddresses } from '../render/dns-name.ts';
import type { InterfaceName } from '../render/names.ts';
import type { PolicyChain } from '../render/rule.ts';
import { canonicalChains } from './canonical-chains.ts';
import { chainHash } from './chain-hash.ts';
import { type Claim, type RefusedClaim, refuseClaims } from './claims.ts';
import { claimedPrefixes, compileNic, unproxiedPrefixes } from './compile-nic.ts';
import { type CompiledPolicy, policyOfNic } from './compile-policy.ts';
import type { Container, Endpoint, Place } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import type { Problem } from './problem.ts';

/** What decides about one container: its policy as it is enforced, be it the last good one. */
export type EnforcedPolicy = Pick<CompiledPolicy, 'default' | 'interfaces' | 'routes'>;

export interface CompileInput {
  readonly containers: readonly Container[];
  /** By container id; one that is missing here is shut out of everything, rules and routes. */
  readonly policies: ReadonlyMap<string, EnforcedPolicy>;
  /** By endpoint key: the host-side veths of what runs. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  readonly network: HostNetwork;
  /** What the policies' names stand for; keeps its identity while none changes. */
  readonly dns: DnsAddresses;
  readonly settings: Pick<HostState, 'guardPatterns' | 'log' | 'connections'> & {
    readonly uplinks: readonly InterfaceName[];
  };
}

export interface Compiled {
  readonly desired: DesiredState;
  /** By container id. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export interface Compiler {
  /** Equal input gives an equal result; parts that didn't change keep their identity. */
  compile(input: CompileInput): Compiled;
}

interface NicPlan {
  readonly container: Container;
  readonly endpoint: Endpoint;
  readonly prefixes: readonly Prefix[];
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
}

interface NicMemo {
  readonly plan: NicPlan;
  readonly hostVeth: InterfaceName;
  readonly network: HostNetwork;
  readonly nic: NicState;
  /** On a link, and too wide to be proxied. */
  readonly unproxied: readonly Prefix[];
}

/**
 * Remembers the last result: what stands in the kernel keeps its claims, and unchanged NICs their identity.
 *
 * @param adopted what an earlier run left in the kernel, as `VETH PREFIX`: it counts as held until the first result
 */
export function createCompiler(adopted: ReadonlySet<string> = new Set()): Compiler {
  let plans = new Map<string, NicPlan>();
  let planned: Pick<CompileInput, 'containers' | 'policies'> | undefined;
  let nics = new Map<string, NicMemo>();
  let host: HostState | undefined;
  let withoutConflict: typeof plans | undefined;
  return {
    compile: (input) => {
      if (planned?.containers !== input.containers || planned.policies !== input.policies) {
        plans = planNics(input, plans);
        planned = input;
      }
      const problems = new Map<string, Problem[]>();
      const report = (container: Container, problem: Problem) =>
        problems.set(container.id, [...(problems.get(container.id) ?? []), problem]);
      const holds = ({ key, prefix }: Claim): boolean => {
        const veth = input.veths.get(key);
        if (host === undefined) return veth !== undefined && adopted.has(`${veth} ${prefix}`);
        const memo = nics.get(key);
        return memo !== undefined && veth === memo.hostVeth && memo.nic.owned.includes(prefix);
      };
      // Who wins depends on what runs; that nobody has to lose depends on the plans alone.
      const refused = withoutConflict === plans ? [] : claimConflicts(plans, holds, input.veths);
      withoutConflict = refused.length === 0 ? plans : undefined;
      const lost = lostPrefixes(plans, refused, input, report);
      nics = compileNics(plans, lost, input, nics, report);
      host = sameHost(host, describeHostState(input));
      return {
        desired: { host, nics: new Map([...nics].map(([key, { nic }]) => [key, nic])), dns: input.dns },
        problems,
      };
    },
  };
}

/** Everything about a NIC that doesn't depend on whether it runs; the same object as before where nothing changed. */
function planNics({ containers, policies }: CompileInput, before: ReadonlyMap<string, NicPlan>): Map<string, NicPlan> {
  const canonical = canonicalChains(policies.values());
  const plans = new Map<string, NicPlan>();
  for (const container of containers) {
    const policy = policies.get(container.id);
    if (policy === undefined) continue;
    for (const [position, endpoint] of container.endpoints.entries()) {
      const { egress, ingress } = policyOfNic(policy, { name: endpoint.nic, index: endpoint.index });
      // A policy's routes are the container's; its first routed NIC carries them.
      const routes = position === 0 ? policy.routes.map(({ prefix }) => prefix) : [];
      const plan = {
        container,
        endpoint,
        prefixes: claimedPrefixes(endpoint, routes),
        egress: canonical(egress),
        ingress: canonical(ingress),
      };
      plans.set(endpoint.key, samePlan(before.get(endpoint.key), plan));
    }
  }
  return plans;
}

function samePlan(before: NicPlan | undefined, plan: NicPlan): NicPlan {
  const same =
    before !== undefined &&
    before.container === plan.container &&
    before.egress === plan.egress &&
    before.ingress === plan.ingress &&
    before.prefixes.join() === plan.prefixes.join();
  return same ? before : plan;
}

type Report = (container: Container, problem: Problem) => void;

/** Prefixes that a NIC asks for and doesn't get, by its key; each is reported. */
function lostPrefixes(
  plans: ReadonlyMap<string, NicPlan>,
  conflicts: readonly RefusedClaim[],
  { network, policies }: CompileInput,
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

function claimConflicts(
  plans: ReadonlyMap<string, NicPlan>,
  holds: (claim: Claim) => boolean,
  veths: ReadonlyMap<string, unknown>,
): RefusedClaim[] {
  const claims = [...plans].flatMap(([key, { container, prefixes }]): Claim[] =>
    prefixes.map((prefix) => ({ key, container: container.name, prefix })),
  );
  return refuseClaims(claims, holds, new Set(veths.keys()));
}

function placeOf({ container, endpoint }: NicPlan, prefix: Prefix, policies: CompileInput['policies']): Place {
  const route = policies.get(container.id)?.routes.find((route) => route.prefix === prefix)?.origin;
  return endpoint.places.get(prefix) ?? route ?? { file: container.file, line: 1 };
}

const shown = (prefix: Prefix): string => (isHostPrefix(prefix) ? networkOf(prefix) : prefix);

function compileNics(
  plans: ReadonlyMap<string, NicPlan>,
  lost: ReadonlyMap<string, ReadonlySet<Prefix>>,
  { veths, network }: CompileInput,
  before: ReadonlyMap<string, NicMemo>,
  report: Report,
): Map<string, NicMemo> {
  const nics = new Map<string, NicMemo>();
  const owners = vethOwners(veths, before);
  for (const [key, hostVeth] of veths) {
    const plan = plans.get(key);
    if (plan === undefined) continue;
    const owner = owners.get(hostVeth) ?? key;
    if (owner !== key) {
      const message = `host-side interface ${hostVeth} belongs to ${owner}: set another veth.pair`;
      report(plan.container, { ...problemAt(plan), message });
      continue;
    }
    const memo = compileOne(plan, hostVeth, lost.get(key), network, before.get(key));
    nics.set(key, memo);
    for (const prefix of memo.unproxied) {
      const message = `${prefix} lies on a link of this host and is too wide to answer for each address: route it to this host`;
      report(plan.container, { ...problemAt(plan), severity: 'warning', message });
    }
  }
  return nics;
}

/** The endpoint that had the veth before keeps it; else the first by key, so that order doesn't matter. */
function vethOwners(
  veths: ReadonlyMap<string, InterfaceName>,
  before: ReadonlyMap<string, NicMemo>,
): Map<InterfaceName, string> {
  const owners = new Map<InterfaceName, string>();
  for (const [key, veth] of veths) {
    const rival = owners.get(veth);
    const holds = (candidate: string): boolean => before.get(candidate)?.hostVeth === veth;
    if (rival === undefined || (!holds(rival) && (holds(key) || key < rival))) owners.set(veth, key);
  }
  return owners;
}

function compileOne(
  plan: NicPlan,
  hostVeth: InterfaceName,
  lost: ReadonlySet<Prefix> | undefined,
  network: HostNetwork,
  before: NicMemo | undefined,
): NicMemo {
  const prefixes = lost === undefined ? plan.prefixes : plan.prefixes.filter((prefix) => !lost.has(prefix));
  const unchanged = before?.plan === plan && before.hostVeth === hostVeth && before.network === network;
  if (unchanged && sameList(before.nic.owned, prefixes)) return before;
  const { container, endpoint, egress, ingress } = plan;
  const nic = compileNic({ container: container.name, endpoint, hostVeth, egress, ingress, prefixes }, network);
  const same = before !== undefined && JSON.stringify(comparable(before.nic)) === JSON.stringify(comparable(nic));
  const unproxied = unproxiedPrefixes(plan.prefixes, network);
  return { plan, hostVeth, network, nic: same ? before.nic : nic, unproxied };
}

const sameList = (a: readonly Prefix[], b: readonly Prefix[]): boolean => a === b || a.join() === b.join();

/** A change of the host's network rarely changes a NIC. Chains are canonical, so their origins tell them apart. */
const comparable = ({ egress, ingress, ...rest }: NicState): unknown => ({
  ...rest,
  chains: [egress, ingress].map((chain) => [
    chainHash(chain),
    chain.default.origin,
    chain.observe?.origin,
    chain.rules.map(({ origin }) => origin),
  ]),
});

const problemAt = (plan: NicPlan): Problem => ({
  file: plan.container.file,
  line: 1,
  column: 1,
  message: '',
  severity: 'error',
});

function describeHostState({ containers, network, settings }: CompileInput): HostState {
  const fixed = containers.flatMap(({ endpoints }) => endpoints.flatMap(({ fixedVeth }) => fixedVeth ?? []));
  return {
    guardPatterns: settings.guardPatterns,
    guardedNames: [...new Set(fixed)].sort(),
    uplinks: settings.uplinks,
    lan: [...new Set(network.onLink.map(({ prefix }) => prefix))].sort(),
    log: settings.log,
    connections: settings.connections,
  };
}

const sameHost = (before: HostState | undefined, host: HostState): HostState =>
  before !== undefined && JSON.stringify(before) === JSON.stringify(host) ? before : host;
