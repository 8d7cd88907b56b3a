/** What runs, NIC by NIC: all of it, or only what came and went since the last time. */
import type { Prefix } from '../render/address.ts';
import type { NicState } from '../render/desired.ts';
import type { InterfaceName } from '../render/names.ts';
import type { Origin, PolicyChain } from '../render/rule.ts';
import { chainHash } from './chain-hash.ts';
import { compileNic, unproxiedPrefixes } from './compile-nic.ts';
import type { Container } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import { compileNicNat, type LostTranslations, NOTHING_LOST, sameLost } from './nic-nat.ts';
import { type NicPlan, samePrefixes } from './nic-plans.ts';
import type { Problem } from './problem.ts';
import type { UplinkPlan } from './uplink-plan.ts';

/** What it was compiled from, and to. */
export interface NicMemo {
  readonly plan: NicPlan;
  readonly hostVeth: InterfaceName;
  readonly network: HostNetwork;
  readonly nic: NicState;
  /** The same without translations and limits. */
  readonly bare: NicState;
  /** On a link, and too wide to be proxied. */
  readonly unproxied: readonly Prefix[];
  readonly translations: LostTranslations;
}

export interface RunningInput {
  /** By endpoint key: the host-side veths of what runs. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  readonly network: HostNetwork;
  /** By endpoint key: translations that a NIC doesn't get. */
  readonly translations?: ReadonlyMap<string, LostTranslations>;
  readonly uplinks: UplinkPlan;
}

export type Report = (container: Container, problem: Problem) => void;

/** All of what runs, in the order of `veths`. `refused`: NICs on a bridge that get nothing, and why. */
export function compileNics(
  plans: ReadonlyMap<string, NicPlan>,
  lost: ReadonlyMap<string, ReadonlySet<Prefix>>,
  { veths, translations, ...host }: RunningInput,
  before: ReadonlyMap<string, NicMemo>,
  report: Report,
  refused: ReadonlyMap<string, Pick<Problem, 'message' | 'severity'>> = new Map(),
): Map<string, NicMemo> {
  const nics = new Map<string, NicMemo>();
  const owners = vethOwners(veths, before);
  for (const [key, hostVeth] of veths) {
    const plan = plans.get(key);
    if (plan === undefined) continue;
    const reason = refused.get(key);
    if (reason !== undefined) {
      report(plan.container, { ...problemAt(plan), ...reason });
      continue;
    }
    const owner = owners.get(hostVeth) ?? key;
    if (owner !== key) {
      const message = `host-side interface ${hostVeth} belongs to ${owner}: set another veth.pair`;
      report(plan.container, { ...problemAt(plan), message });
      continue;
    }
    const memo = compileOne(
      plan,
      hostVeth,
      { lost: lost.get(key), translations: translations?.get(key) },
      host,
      before.get(key),
    );
    if (memo === undefined) {
      report(plan.container, { ...problemAt(plan), message: 'stays shut: no routing table is left for its uplink' });
      continue;
    }
    nics.set(key, memo);
    for (const prefix of memo.unproxied) {
      const message = `${prefix} lies on a link of this host and is too wide to answer for each address: route it to this host`;
      report(plan.container, { ...problemAt(plan), severity: 'warning', message });
    }
  }
  return nics;
}

/** What is otherwise than before. */
export interface NicChange {
  /** NICs that came, went, or have another veth or plan. */
  readonly keys: Iterable<string>;
  /** NICs by the veths of before. */
  readonly owners: ReadonlyMap<string, string>;
}

/**
 * Those that came, went (`undefined`) or have another veth or plan; equal to what `compileNics` makes of them.
 * `undefined`: there is a problem to report, or more than these may depend on it.
 */
export function compileChangedNics(
  plans: ReadonlyMap<string, NicPlan>,
  { veths, ...host }: RunningInput,
  { keys, owners }: NicChange,
  before: ReadonlyMap<string, NicMemo>,
): Map<string, NicMemo | undefined> | undefined {
  const taken = new Set<InterfaceName>();
  const changes = new Map<string, NicMemo | undefined>();
  for (const key of keys) {
    const veth = veths.get(key);
    if (veth === undefined) {
      changes.set(key, undefined);
      continue;
    }
    const owner = owners.get(veth);
    if (taken.has(veth) || (owner !== undefined && owner !== key && veths.get(owner) === veth)) return undefined;
    taken.add(veth);
    const plan = plans.get(key);
    if (plan === undefined) {
      changes.set(key, undefined);
      continue;
    }
    // Whether it may have its hardware address depends on all others on bridges.
    if (plan.endpoint.attachment !== undefined) return undefined;
    const memo = compileOne(plan, veth, {}, host, before.get(key));
    if (memo === undefined || memo.unproxied.length > 0) return undefined;
    changes.set(key, memo);
  }
  return changes;
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

/** What the plan asks for in vain. */
interface Missed {
  readonly lost?: ReadonlySet<Prefix> | undefined;
  readonly translations?: LostTranslations | undefined;
}

function compileOne(
  plan: NicPlan,
  hostVeth: InterfaceName,
  { lost, translations = NOTHING_LOST }: Missed,
  { network, uplinks }: Pick<RunningInput, 'network' | 'uplinks'>,
  before: NicMemo | undefined,
): NicMemo | undefined {
  const table = plan.uplink === undefined ? undefined : uplinks.tableOf(plan.uplink);
  // Without a table of its own it would leave by another one's, or by the host's.
  if (plan.uplink !== undefined && table === undefined) return undefined;
  const prefixes = lost === undefined ? plan.prefixes : plan.prefixes.filter((prefix) => !lost.has(prefix));
  const unchanged = before?.plan === plan && before.hostVeth === hostVeth && before.network === network;
  const isSame = unchanged && before.nic.uplink?.table === table && sameLost(before.translations, translations);
  if (isSame && samePrefixes(before.nic.owned, prefixes)) return before;
  const { container, endpoint, egress, ingress, limits, tables = [] } = plan;
  const nat = plan.nat === undefined ? undefined : compileNicNat(plan.nat, prefixes, network, translations);
  const uplink = plan.uplink === undefined || table === undefined ? undefined : { table, dev: plan.uplink.dev };
  const input = { container: container.name, endpoint, hostVeth, egress, ingress, prefixes, tables };
  const isStanding = before !== undefined && isAsPlaced(before, plan, table) && before.hostVeth === hostVeth;
  const bare: NicState =
    isStanding && before.network === network && samePrefixes(before.nic.owned, prefixes)
      ? { ...before.bare, egress, ingress }
      : compileNic({ ...input, ...(uplink && { uplink }) }, network);
  const isBare = nat === undefined && limits === undefined;
  const nic: NicState = isBare ? bare : { ...bare, ...(nat === undefined ? {} : { nat }), ...(limits && { limits }) };
  const same = before !== undefined && isSameNic(before.nic, nic);
  // An edit of a policy moves no address.
  const isPlaced = before?.network === network && samePrefixes(before.plan.prefixes, plan.prefixes);
  const unproxied = isPlaced ? before.unproxied : unproxiedPrefixes(plan.prefixes, network);
  return { plan, hostVeth, network, nic: same ? before.nic : nic, bare, unproxied, translations };
}

/** Whether only its rules, translations or limits can be others; a bridge's port depends on the rules too. */
const isAsPlaced = ({ plan: before, nic }: NicMemo, plan: NicPlan, table: number | undefined): boolean =>
  before.endpoint === plan.endpoint &&
  plan.endpoint.attachment === undefined &&
  before.tables === plan.tables &&
  nic.uplink?.table === table;

/** A change of the host's network rarely changes a NIC. */
const isSameNic = (before: NicState, nic: NicState): boolean =>
  isSameEgress(before.egress, nic.egress) &&
  isSameIngress(before.ingress, nic.ingress) &&
  JSON.stringify(withoutChains(before)) === JSON.stringify(withoutChains(nic));

/** Chains are canonical, so their origins tell them apart. All NICs that an edit concerns ask about the same few. */
function rememberSameChain(): (before: PolicyChain, chain: PolicyChain) => boolean {
  let last: { readonly before: PolicyChain; readonly chain: PolicyChain; readonly isSame: boolean } | undefined;
  return (before, chain) => {
    if (before === chain) return true;
    if (last?.before !== before || last.chain !== chain) {
      const isSame = chainHash(before) === chainHash(chain) && sameOrigins(originsOf(before), originsOf(chain));
      last = { before, chain, isSame };
    }
    return last.isSame;
  };
}

const isSameEgress = rememberSameChain();
const isSameIngress = rememberSameChain();

type AnyOrigin = Origin | null | undefined;

const originsOf = ({ default: last, observe, rules }: PolicyChain): readonly AnyOrigin[] => [
  last.origin,
  observe?.origin,
  ...rules.map(({ origin }) => origin),
];

const sameOrigins = (before: readonly AnyOrigin[], after: readonly AnyOrigin[]): boolean =>
  before.length === after.length && before.every((origin, index) => isSameOrigin(origin, after[index]));

/** Asked for each NIC that an edit concerns: as text it takes a tenth of the pass. */
const isSameOrigin = (before: AnyOrigin, after: AnyOrigin): boolean =>
  before === after ||
  (before?.file === after?.file && before?.line === after?.line && before?.column === after?.column);

const withoutChains = ({ egress: _, ingress: __, ...rest }: NicState): unknown => rest;

const problemAt = (plan: NicPlan): Problem => ({
  file: plan.container.file,
  line: 1,
  column: 1,
  message: '',
  severity: 'error',
});
