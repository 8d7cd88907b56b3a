/** Desired state out of containers, their policies, the veths they run with, and the host's network. */
import { contains, hostPrefix, isHostPrefix, networkOf, type Prefix, rangeOf } from '../render/address.ts';
import { noteChangedNicKeys } from '../render/changed-nics.ts';
import type { DesiredState, HostState } from '../render/desired.ts';
import type { DnsAddresses } from '../render/dns-name.ts';
import type { InterfaceName } from '../render/names.ts';
import type { Publication } from '../render/translation.ts';
import { describeBridges, refuseAttachments } from './attachments.ts';
import { canonicalChains } from './canonical-chains.ts';
import { type Claim, type RefusedClaim, refuseClaims } from './claims.ts';
import { claimedPrefixes } from './compile-nic.ts';
import { type CompiledPolicy, policyOfNic } from './compile-policy.ts';
import type { UplinkChoice } from './compile-uplink.ts';
import type { Container, Place } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import { lostTranslations } from './nat-conflicts.ts';
import { heldPublication, planNat, publicationKey } from './nic-nat.ts';
import { policyPath } from './policy-files.ts';
import type { Problem } from './problem.ts';
import { routedOnlyProblems } from './routed-only.ts';
import { compileChangedNics, compileNics, type NicMemo, type NicPlan, type Report } from './running-nics.ts';
import { type TakenAddresses, whyTaken } from './taken-addresses.ts';
import { NO_UPLINKS, planUplinks, uplinkFindings } from './uplink-plan.ts';

/** What decides about one container: its policy as it is enforced, be it the last good one. */
export type EnforcedPolicy = Pick<CompiledPolicy, 'default' | 'interfaces' | 'routes' | 'tables' | 'nat'>;

export interface CompileInput {
  readonly containers: readonly Container[];
  /** By container id; one that is missing here is shut out of everything, rules and routes. */
  readonly policies: ReadonlyMap<string, EnforcedPolicy>;
  /** By endpoint key: the host-side veths of what runs. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  readonly network: HostNetwork;
  /** What the policies' names stand for; keeps its identity while none changes. */
  readonly dns: DnsAddresses;
  /** What others have on the uplinks' links; absent where nobody asks. */
  readonly taken?: TakenAddresses | undefined;
  readonly settings: Pick<HostState, 'guardPatterns' | 'log' | 'connections'> & {
    readonly uplinks: readonly InterfaceName[];
    /** Interfaces of the host that are ends of wires. */
    readonly wireEnds?: readonly InterfaceName[];
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

/**
 * Remembers the last result: what stands in the kernel keeps its claims, and unchanged NICs their identity.
 *
 * @param adopted what an earlier run left in the kernel, as `VETH PREFIX` and as nft lists published ports: it counts as
 * held until the first result
 */
export function createCompiler(adopted: ReadonlySet<string> = new Set()): Compiler {
  let plans = new Map<string, NicPlan>();
  let nics = new Map<string, NicMemo>();
  let uplinks = NO_UPLINKS;
  let last: { readonly input: CompileInput; readonly result: Compiled } | undefined;
  let withoutConflict: typeof plans | undefined;

  function compileWhole(input: CompileInput): Compiled {
    const known = last?.input;
    const replanned = known?.containers !== input.containers || known.policies !== input.policies;
    if (replanned) plans = planNics(input, plans);
    if (replanned || known.network !== input.network) uplinks = planUplinks(choicesOf(plans), input.network);
    const problems = new Map<string, Problem[]>();
    const report = (container: Container, problem: Problem) =>
      problems.set(container.id, [...(problems.get(container.id) ?? []), problem]);
    const holds = ({ key, prefix }: Claim): boolean => {
      const veth = input.veths.get(key);
      if (last === undefined) return veth !== undefined && adopted.has(`${veth} ${prefix}`);
      const memo = nics.get(key);
      return memo !== undefined && veth === memo.hostVeth && memo.nic.owned.includes(prefix);
    };
    const publishes = (key: string, publication: Publication): boolean => {
      const veth = input.veths.get(key);
      if (last === undefined) return veth !== undefined && adopted.has(heldPublication(publication));
      const memo = nics.get(key);
      const held = memo?.hostVeth === veth ? memo?.nic.nat?.publications : undefined;
      return held?.some((one) => publicationKey(one) === publicationKey(publication)) === true;
    };
    // Who wins depends on what runs; that nobody has to lose depends on the plans alone.
    const isFree = withoutConflict !== undefined && claimTheSame(withoutConflict, plans);
    const refused = isFree ? [] : claimConflicts(plans, holds, input.veths);
    withoutConflict = refused.length === 0 ? plans : undefined;
    const lost = lostPrefixes(plans, refused, input, report);
    const translations = lostTranslations(
      [...plans.values()],
      input.network,
      { running: input.veths, holds: publishes },
      report,
    );
    reportUplinks(plans, input, report);
    for (const container of input.containers) {
      const policy = input.policies.get(container.id);
      for (const problem of policy === undefined ? [] : routedOnlyProblems(container, policy))
        report(container, problem);
    }
    const running = { ...input, translations, uplinks };
    const unattached = refuseAttachments(plans, running, (key) => nics.get(key)?.nic);
    nics = compileNics(plans, lost, running, nics, report, unattached);
    const states = new Map([...nics].map(([key, { nic }]) => [key, nic]));
    const host = sameHost(last?.result.desired.host, withTables(describeHostState(input), states));
    return { desired: { host, nics: states, dns: input.dns }, problems };
  }

  /** The same, where only starts and stops lie between, and nobody wants what another has. */
  function compileStartsAndStops(input: CompileInput): Compiled | undefined {
    if (last === undefined) return undefined;
    const { input: known, result } = last;
    const same = (['containers', 'policies', 'network', 'settings', 'taken'] as const).every(
      (key) => known[key] === input[key],
    );
    if (same && known.veths === input.veths && known.dns === input.dns) return result;
    if (!same || result.problems.size > 0) return undefined;
    const changes = compileChangedNics(plans, { ...input, uplinks }, known.veths, nics);
    if (changes === undefined) return undefined;
    // Nobody else has it.
    change(nics, changes);
    const before = result.desired.nics;
    const states = new Map(before);
    change(states, new Map([...changes].map(([key, memo]) => [key, memo?.nic])));
    // Whoever asks what differs would have to look at all of them.
    noteChangedNicKeys(
      before,
      states,
      [...changes.keys()].filter((key) => before.get(key) !== states.get(key)),
    );
    const host = sameHost(result.desired.host, withTables(result.desired.host, states));
    return { ...result, desired: { host, nics: states, dns: input.dns } };
  }

  /** The first that has an uplink brings its table, and the last takes it along. */
  function withTables(before: HostState, states: DesiredState['nics']): HostState {
    const { uplinkTables: known, ...host } = before;
    const uplinkTables = uplinks.tablesFor(states.values());
    if (known === undefined && uplinkTables === undefined) return before;
    return uplinkTables === undefined ? host : { ...host, uplinkTables };
  }

  return {
    compile: (input) => {
      const result = compileStartsAndStops(input) ?? compileWhole(input);
      last = { input, result };
      return result;
    },
  };
}

function change<T>(map: Map<string, T>, changes: ReadonlyMap<string, T | undefined>): void {
  for (const [key, value] of changes) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }
}

/** Everything about a NIC that doesn't depend on whether it runs; the same object as before where nothing changed. */
function planNics({ containers, policies }: CompileInput, before: ReadonlyMap<string, NicPlan>): Map<string, NicPlan> {
  const canonical = canonicalChains(policies.values());
  const plans = new Map<string, NicPlan>();
  for (const container of containers) {
    const policy = policies.get(container.id);
    if (policy === undefined) continue;
    const routed = container.endpoints.filter(({ attachment }) => attachment === undefined);
    for (const endpoint of container.endpoints) {
      const { egress, ingress, limits, uplink } = policyOfNic(policy, { name: endpoint.nic, index: endpoint.index });
      const { tables } = policy;
      const { attachment } = endpoint;
      // A policy's routes are the container's; its first routed NIC carries them.
      const routes = endpoint === routed[0] ? policy.routes.map(({ prefix }) => prefix) : [];
      const nat = attachment === undefined ? planNat(policy.nat, endpoint, routed) : undefined;
      const plan = {
        container,
        endpoint,
        prefixes: claimedPrefixes(endpoint, routes),
        egress: canonical(egress),
        ingress: canonical(ingress),
        ...(nat === undefined ? {} : { nat }),
        ...(limits && { limits }),
        ...(uplink && { uplink }),
        ...(tables && { tables }),
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
    JSON.stringify(before.limits) === JSON.stringify(plan.limits) &&
    before.uplink === plan.uplink &&
    before.tables === plan.tables &&
    before.prefixes.join() === plan.prefixes.join() &&
    JSON.stringify(before.nat) === JSON.stringify(plan.nat);
  return same ? before : plan;
}

/** Prefixes that a NIC asks for and doesn't get, by its key; each is reported. */
function lostPrefixes(
  plans: ReadonlyMap<string, NicPlan>,
  conflicts: readonly RefusedClaim[],
  { network, policies, taken = new Map() }: CompileInput,
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

const choicesOf = (plans: ReadonlyMap<string, NicPlan>): UplinkChoice[] =>
  [...plans.values()].flatMap(({ uplink }) => uplink ?? []);

function reportUplinks(plans: ReadonlyMap<string, NicPlan>, { network }: CompileInput, report: Report): void {
  for (const { container, uplink, prefixes } of plans.values()) {
    if (uplink === undefined) continue;
    const place = { file: policyPath(uplink.origin.file), line: uplink.origin.line, column: 1 };
    for (const finding of uplinkFindings(uplink, prefixes, network)) report(container, { ...place, ...finding });
  }
}

const conflictText = ({ container, owner }: RefusedClaim): string =>
  owner === container
    ? 'is claimed by two NICs of this container: give each its own'
    : `belongs to container ${owner}: this one gets it when ${owner} stops, or give it another address`;

/** An edit of a policy mostly changes rules alone, and claims are compared each with its neighbours. */
const claimTheSame = (before: ReadonlyMap<string, NicPlan>, plans: ReadonlyMap<string, NicPlan>): boolean =>
  before === plans ||
  (before.size === plans.size &&
    [...plans].every(([key, { prefixes }]) => before.get(key)?.prefixes.join() === prefixes.join()));

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

function describeHostState({ containers, policies, network, settings }: CompileInput): HostState {
  const fixed = containers.flatMap(({ endpoints, wired = [] }) =>
    [...endpoints, ...wired].flatMap(({ fixedVeth }) => fixedVeth ?? []),
  );
  return {
    guardPatterns: settings.guardPatterns,
    guardedNames: [...new Set([...fixed, ...(settings.wireEnds ?? [])])].sort(),
    uplinks: settings.uplinks,
    lan: [...new Set(network.onLink.map(({ prefix }) => prefix))].sort(),
    log: settings.log,
    connections: settings.connections,
    ...([...policies.values()].some(({ nat }) => nat?.masqueradeOrigin !== undefined)
      ? { masqueradeUplinks: [...network.uplinks].sort() }
      : {}),
    ...describeBridges(containers, network),
  };
}

const sameHost = (before: HostState | undefined, host: HostState): HostState =>
  before === host || (before !== undefined && JSON.stringify(before) === JSON.stringify(host)) ? before : host;
