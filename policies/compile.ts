/** Desired state out of containers, their policies, the veths they run with, and the host's network. */

import type { DesiredState, HostState } from '../render/desired.ts';
import type { DnsAddresses } from '../render/dns-name.ts';
import type { InterfaceName } from '../render/names.ts';
import { changedKeys, changeMap } from '../render/shared-map.ts';
import type { Publication } from '../render/translation.ts';
import { describeBridges, refuseAttachments } from './attachments.ts';
import { followChains } from './canonical-chains.ts';
import { type Claim, type ContestedClaim, refuseClaims } from './claims.ts';
import type { UplinkChoice } from './compile-uplink.ts';
import type { Container } from './endpoint.ts';
import { entangledNics, holdsIn } from './entangled.ts';
import type { HostNetwork } from './host-network.ts';
import { claimTheSame, contestedClaims, lostPrefixes } from './lost-prefixes.ts';
import { lostTranslations } from './nat-conflicts.ts';
import { heldPublication, publicationKey } from './nic-nat.ts';
import { type EnforcedPolicy, type NicPlan, planNics } from './nic-plans.ts';
import { policyPath } from './policy-files.ts';
import type { Problem } from './problem.ts';
import { NOTHING_REPLANNED, Replanner } from './replanner.ts';
import { routedOnlyProblems } from './routed-only.ts';
import { compileChangedNics, compileNics, type NicMemo, type Report } from './running-nics.ts';
import type { TakenAddresses } from './taken-addresses.ts';
import { NO_UPLINKS, planUplinks, uplinkFindings } from './uplink-plan.ts';

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
    /** What else is guarded: ends of wires, and veths that nobody claims. */
    readonly guardedToo?: readonly InterfaceName[];
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
  /** What another input would come to, while each NIC holds what it holds now; nothing of it is remembered. */
  tryOut(input: CompileInput): Compiled;
}

/** What was compiled last. */
interface Before {
  readonly plans: Map<string, NicPlan>;
  readonly nics: Map<string, NicMemo>;
  readonly uplinks: typeof NO_UPLINKS;
  readonly last: { readonly input: CompileInput; readonly result: Compiled } | undefined;
  readonly claimed: { readonly plans: Before['plans']; readonly contested: readonly ContestedClaim[] } | undefined;
}

const NOTHING: Before = { plans: new Map(), nics: new Map(), uplinks: NO_UPLINKS, last: undefined, claimed: undefined };

/**
 * Remembers the last result: what stands in the kernel keeps its claims, and unchanged NICs their identity.
 *
 * @param adopted what an earlier run left in the kernel, as `VETH PREFIX` and as nft lists published ports: it counts as
 * held until the first result
 */
export const createCompiler = (adopted: ReadonlySet<string> = new Set()): Compiler => compilerAfter(NOTHING, adopted);

function compilerAfter(before: Before, adopted: ReadonlySet<string>): Compiler {
  let { plans, nics, uplinks, last, claimed } = before;
  const canonicalOf = followChains();
  let isEntangled: ((key: string) => boolean) | undefined;
  /** Keys of NICs by their veths, as they were last compiled. */
  let owners: Map<InterfaceName, string> | undefined;
  /** Of what was last compiled whole, and of what changed since. */
  let replanner: Replanner | undefined;

  function compileWhole(input: CompileInput): Compiled {
    const known = last?.input;
    const replanned = known?.containers !== input.containers || known.policies !== input.policies;
    if (replanned) plans = planNics(input.containers, input.policies, plans, canonicalOf(input.policies).chainFor);
    if (replanned || known.network !== input.network) uplinks = planUplinks(choicesOf(plans), input.network);
    const problems = new Map<string, Problem[]>();
    const report = (container: Container, problem: Problem) =>
      problems.set(container.id, [...(problems.get(container.id) ?? []), problem]);
    const adopts = ({ key, prefix }: Claim): boolean => adopted.has(`${input.veths.get(key)} ${prefix}`);
    const publishes = (key: string, publication: Publication): boolean => {
      const veth = input.veths.get(key);
      if (last === undefined) return veth !== undefined && adopted.has(heldPublication(publication));
      const memo = nics.get(key);
      const held = memo?.hostVeth === veth ? memo?.nic.nat?.publications : undefined;
      return held?.some((one) => publicationKey(one) === publicationKey(publication)) === true;
    };
    // Which NIC wins depends on what runs; which ones are rivals depends on the plans alone.
    const isSame = claimed !== undefined && claimTheSame(claimed.plans, plans);
    const contested = isSame && claimed !== undefined ? claimed.contested : contestedClaims(plans);
    claimed = { plans, contested };
    const refused = refuseClaims(contested, last === undefined ? adopts : holdsIn(nics, input.veths), input.veths);
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
    isEntangled = entangledNics({ plans, contested, refused, unattached, running, nics, problems });
    const states = new Map([...nics].map(([key, { nic }]) => [key, nic]));
    owners = undefined;
    replanner = undefined;
    const host = sameHost(last?.result.desired.host, withTables(describeHostState(input), states));
    return { desired: { host, nics: states, dns: input.dns }, problems };
  }

  /** The same result out of the difference; `undefined` where it is more than changes of NICs without rivals. */
  function compileDifference(input: CompileInput): Compiled | undefined {
    if (last === undefined) return undefined;
    const { input: known, result } = last;
    const same = (['network', 'settings', 'taken'] as const).every((key) => known[key] === input[key]);
    const isPlanned = known.containers === input.containers && known.policies === input.policies;
    if (same && isPlanned && known.veths === input.veths && known.dns === input.dns) return result;
    if (!same || isEntangled === undefined) return undefined;
    const { chainFor, concernsOthers } = canonicalOf(input.policies);
    if (concernsOthers) return undefined;
    replanner ??= new Replanner(plans, known, { isEntangled, problems: result.problems });
    const replanned = isPlanned ? NOTHING_REPLANNED : replanner.replan(input, chainFor);
    if (replanned === undefined) return undefined;
    const moved = changedKeys(known.veths, input.veths);
    if (moved.some(isEntangled)) return undefined;
    owners ??= new Map([...known.veths].map(([key, veth]) => [veth, key]));
    const keys = new Set([...moved, ...replanned.plans.keys()]);
    change(plans, replanned.plans);
    const changes = compileChangedNics(plans, { ...input, uplinks }, { keys, owners }, nics);
    if (changes === undefined) return undefined;
    // In place: nobody else has this map.
    change(nics, changes);
    moveVeths(owners, moved, known.veths, input.veths);
    const states = changeMap(
      result.desired.nics,
      [...changes].map(([key, memo]) => [key, memo?.nic]),
    );
    const { host: before } = result.desired;
    const described = replanned.mayConcernHost
      ? sameHost(before, withTables(describeHostState(input), states))
      : before;
    return { ...result, desired: { host: withTables(described, states), nics: states, dns: input.dns } };
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
      const result = compileDifference(input) ?? compileWhole(input);
      last = { input, result };
      return result;
    },
    // It knows of no entangled NICs, so that it compiles the whole input, into maps of its own.
    tryOut: (input) => compilerAfter({ plans, nics, uplinks, last, claimed }, adopted).compile(input),
  };
}

function change<T>(map: Map<string, T>, changes: ReadonlyMap<string, T | undefined>): void {
  for (const [key, value] of changes) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }
}

/** Removed first: a veth that one NIC gave up may be another's now. */
function moveVeths(
  owners: Map<InterfaceName, string>,
  keys: readonly string[],
  before: CompileInput['veths'],
  after: CompileInput['veths'],
): void {
  for (const key of keys) {
    const veth = before.get(key);
    if (veth !== undefined) owners.delete(veth);
  }
  for (const key of keys) {
    const veth = after.get(key);
    if (veth !== undefined) owners.set(veth, key);
  }
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

function describeHostState({ containers, policies, network, settings }: CompileInput): HostState {
  const fixed = containers.flatMap(({ endpoints, wired = [] }) =>
    [...endpoints, ...wired].flatMap(({ fixedVeth }) => fixedVeth ?? []),
  );
  return {
    guardPatterns: settings.guardPatterns,
    guardedNames: [...new Set([...fixed, ...(settings.guardedToo ?? [])])].sort(),
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
