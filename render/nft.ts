/** Desired state as our nft tables, and the transaction from one desired state to another. */

import { familyOf } from './address.ts';
import { arpChains, arpSets, inetChains, inetSets } from './base.ts';
import { bridgeTable } from './bridge-table.ts';
import { bridgedElements, isBridged } from './bridged.ts';
import { changedNicKeys } from './changed-nics.ts';
import type { DesiredState, HostState, NicState } from './desired.ts';
import type { DnsName } from './dns-name.ts';
import { changedNames, dnsSetName, dnsSets } from './dns-sets.ts';
import { followNicsBy } from './followed-nics.ts';
import { type GrowingRuleset, grow } from './grow-ruleset.ts';
import { guardsThatDiffer } from './guard.ts';
import { heldSets } from './held.ts';
import { type ChainName, chainName } from './names.ts';
import { followNatUse, natChains, natSets, natUse, publishedByHost } from './nat.ts';
import { followLengths, OWNED, type OwnedSet, ownedElement, ownedSets } from './owned.ts';
import type { Pieces } from './pieces.ts';
import { type ChainHost, type RenderedChain, renderPolicyChain } from './policy-chain.ts';
import { sparedByRenaming } from './renamed-chains.ts';
import type { PolicyChain } from './rule.ts';
import type { NftChain, NftSet, NftTable, Ruleset, TableFamily } from './ruleset.ts';
import { diffRulesets } from './transaction.ts';
import { uplinkChains, uplinkSets } from './uplink-chains.ts';

/** The name of the nft chain that holds this policy; equal semantics have equal names. */
export type ChainNaming = (chain: PolicyChain) => ChainName;

/** `hash`: a content hash of a chain's semantics in lower-case hex, at least 8 digits. */
export function chainNaming(hash: (chain: PolicyChain) => string): ChainNaming {
  const names = new WeakMap<PolicyChain, ChainName>();
  return (chain) => {
    const known = names.get(chain);
    if (known !== undefined) return known;
    const name = chainName(chain.direction, hash(chain));
    names.set(chain, name);
    return name;
  };
}

/** Our tables, whole. */
export function renderDesired(desired: DesiredState, nameOf: ChainNaming): Ruleset {
  return renderNics(desired, [...desired.nics.values()], nameOf);
}

/** So many NICs take some milliseconds. */
const AT_ONCE = 500;

/** The same, in another order, and without what only some NICs have. */
export function* renderInPieces(
  desired: DesiredState,
  nameOf: ChainNaming,
  without: ReadonlySet<NicState> = new Set(),
  size = AT_ONCE,
): Pieces<Ruleset> {
  const nics = [...desired.nics.values()].filter((nic) => !without.has(nic));
  const whole: GrowingRuleset = new Map();
  for (let at = 0; at === 0 || at < nics.length; at += size) {
    grow(whole, renderNics(desired, nics.slice(at, at + size), nameOf));
    yield;
  }
  return whole;
}

/**
 * The commands from one desired state to the next, in the time that the changed NICs take: NICs that are the same
 * object in both are passed over. Equal to `diffRulesets` of both states rendered whole.
 */
export function diffDesired(before: DesiredState, after: DesiredState, nameOf: ChainNaming): string[] {
  if (before.host === after.host) return diffNics(before, after, nameOf);
  const hosts = guardsThatDiffer(before.host, after.host);
  return hosts === undefined
    ? diffRulesets(renderDesired(before, nameOf), renderDesired(after, nameOf))
    : diffNics({ ...before, host: hosts[0] }, { ...after, host: hosts[1] }, nameOf);
}

/** Of one host, or of two that differ in what `guardsThatDiffer` leaves. */
function diffNics(before: DesiredState, after: DesiredState, nameOf: ChainNaming): string[] {
  const changed = changedNicKeys(before, after);
  const gone = changed.flatMap((key) => before.nics.get(key) ?? []);
  const come = changed.flatMap((key) => after.nics.get(key) ?? []);
  followLengths(before.nics, after.nics, { gone, come });
  followNatUse(before.nics, after.nics, { gone, come });
  const answered = changedNames(before.dns, after.dns);
  if (before.host === after.host && gone.length === 0 && come.length === 0 && answered.length === 0) return [];
  const kept = keptChains(after, { keys: changed, nics: [...gone, ...come], names: answered }, nameOf);
  const changes = changed.map((key) => [before.nics.get(key), after.nics.get(key)] as const);
  const spared = sparedByRenaming(changes, kept, nameOf);
  const render = (state: DesiredState, nics: readonly NicState[]): Ruleset =>
    renderNics(state, [...nics.filter((nic) => !spared.has(nic)), ...kept], nameOf);
  return diffRulesets(render(before, gone), render(after, come));
}

interface Changed {
  readonly keys: readonly string[];
  readonly nics: readonly NicState[];
  /** Names that stand for other addresses. */
  readonly names: readonly DnsName[];
}

/**
 * For each chain or named set of a changed NIC that an unchanged NIC uses too, one such NIC: in both halves of the
 * comparison it keeps what is shared out of the difference. Different chains may share a set. And one NIC for each
 * changed name, so that its sets are in the difference.
 */
function keptChains(after: DesiredState, { keys, nics, names }: Changed, nameOf: ChainNaming): NicState[] {
  const { namesOf, usersOf } = chainUse(nameOf, after.host);
  const users = usersOf(after);
  const changed = new Set(keys);
  const wanted = new Set([...nics.flatMap(namesOf), ...names.map((name) => dnsSetName(name, 4))]);
  const kept = new Set([...wanted].flatMap((name) => firstBut(changed, users.get(name) ?? []) ?? []));
  return [...kept].flatMap((key) => after.nics.get(key) ?? []);
}

function firstBut<T>(others: ReadonlySet<T>, all: Iterable<T>): T | undefined {
  for (const one of all) if (!others.has(one)) return one;
  return undefined;
}

interface ChainUse extends ChainHost {
  readonly nameOf: ChainNaming;
  /** Of a NIC's chains and of the sets that they refer to; of each chain found once. */
  readonly namesOf: (nic: NicState) => readonly string[];
  readonly usersOf: ReturnType<typeof followNicsBy<string>>;
}

let use: ChainUse | undefined;

/** The same one while that of the host is the same on which the sets of a chain depend. */
function chainUse(nameOf: ChainNaming, host: HostState): ChainUse {
  const { log } = host;
  const hasBridges = host.bridges !== undefined;
  if (use?.nameOf === nameOf && use.log === log && use.hasBridges === hasBridges) return use;
  const known = new WeakMap<PolicyChain, readonly string[]>();
  const ofChain = (chain: PolicyChain): readonly string[] => {
    const names = known.get(chain) ?? [nameOf(chain), ...setNames(renderedChain(chain, host))];
    known.set(chain, names);
    return names;
  };
  const namesOf = ({ egress, ingress }: NicState): readonly string[] => [...ofChain(egress), ...ofChain(ingress)];
  use = { nameOf, log, hasBridges, namesOf, usersOf: followNicsBy(namesOf) };
  return use;
}

/** The two sets of a name go together: one of them stands for both. */
const setNames = ({ sets, dnsNames }: RenderedChain): string[] => [
  ...sets.keys(),
  ...dnsNames.map((name) => dnsSetName(name, 4)),
];

/** The tables with these NICs' elements; the prefix lengths are the whole state's, so that anti-spoofing is whole. */
export function renderNics(state: DesiredState, nics: readonly NicState[], nameOf: ChainNaming): Ruleset {
  const { host } = state;
  return new Map<TableFamily, NftTable>([
    ['inet', inetTable(state, nics, nameOf)],
    ['arp', arpTable(host, nics, ownedSets('arp', state.nics))],
    ...(host.bridges === undefined
      ? []
      : [['bridge', bridgeTable(host, host.bridges, nics.filter(isBridged))] as const]),
  ]);
}

function inetTable({ host, dns, nics: whole }: DesiredState, all: readonly NicState[], nameOf: ChainNaming): NftTable {
  const owned = ownedSets('inet', whole);
  const policy = policyChains(host, all, nameOf);
  const nat = natUse(whole);
  const nics = all.filter((nic) => !isBridged(nic));
  const sets: [string, NftSet][] = [
    ['veths', vethSet(nics)],
    ...owned.map((set): [string, NftSet] => [set.name, ownedSet(set, nics)]),
    ...heldSets(owned, nics),
    ['from_container', verdictMap('iifname', nics, (nic) => nameOf(nic.egress))],
    ['to_container', verdictMap('oifname', nics, (nic) => nameOf(nic.ingress))],
    ...inetSets(host, all.filter(isBridged)),
    ...natSets(nat, nics, host.masqueradeUplinks ?? [], (nic) => nameOf(nic.ingress)),
    ...uplinkSets(host, nics),
    ...bridgedElements(host, all.filter(isBridged), ({ egress, ingress }) => ({
      egress: nameOf(egress),
      ingress: nameOf(ingress),
    })),
    ...[...policy.values()].flatMap((chain) => [...chain.sets]),
    ...dnsSets(
      [...policy.values()].flatMap(({ dnsNames }) => dnsNames),
      dns,
    ),
  ];
  const chains: [string, NftChain][] = [
    ...inetChains(host, owned, publishedByHost(nat)),
    ...natChains(nat, host.bridges !== undefined),
    ...uplinkChains(host),
    ...[...policy].map(([name, { rules }]): [string, NftChain] => [name, { hook: '', rules }]),
  ];
  return { sets: new Map(sets), chains: new Map(chains) };
}

function arpTable(host: HostState, all: readonly NicState[], owned: readonly OwnedSet[]): NftTable {
  const nics = all.filter((nic) => !isBridged(nic));
  return {
    sets: new Map([
      ['veths', vethSet(nics)],
      ...owned.map((set): [string, NftSet] => [set.name, ownedSet(set, nics)]),
      ...arpSets(host, all.filter(isBridged)),
    ]),
    chains: new Map(arpChains(host, owned)),
  };
}

function policyChains(host: HostState, nics: readonly NicState[], nameOf: ChainNaming): Map<string, RenderedChain> {
  const chains = new Map<string, PolicyChain>();
  for (const nic of nics) for (const chain of [nic.egress, nic.ingress]) chains.set(nameOf(chain), chain);
  const sorted = [...chains].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([name, chain]) => [name, renderedChain(chain, host)]));
}

const rendered = new WeakMap<PolicyChain, ChainHost & { readonly chain: RenderedChain }>();

/** The same objects give the same text, which is asked for at each change. */
function renderedChain(chain: PolicyChain, { log, bridges }: HostState): RenderedChain {
  const hasBridges = bridges !== undefined;
  const known = rendered.get(chain);
  if (known?.log === log && known.hasBridges === hasBridges) return known.chain;
  const fresh = renderPolicyChain(chain, { log, hasBridges });
  rendered.set(chain, { log, hasBridges, chain: fresh });
  return fresh;
}

const vethSet = (nics: readonly NicState[]): NftSet => ({
  kind: 'set',
  spec: 'type ifname;',
  dynamic: false,
  elements: new Map(nics.map((nic) => [`"${nic.hostVeth}"`, ''])),
});

function ownedSet(set: OwnedSet, nics: readonly NicState[]): NftSet {
  const elements = new Map<string, string>();
  for (const nic of nics) {
    for (const prefix of nic.owned) {
      if (familyOf(prefix) !== set.family) continue;
      const element = ownedElement(nic, prefix);
      if (element.set === set.name) elements.set(element.key, '');
    }
  }
  return { kind: 'set', spec: OWNED.spec(set), dynamic: false, elements };
}

/** `goto`, not `jump`: what a chain doesn't decide must not fall through to the next rule of the base chain. */
const verdictMap = (
  key: 'iifname' | 'oifname',
  nics: readonly NicState[],
  chain: (nic: NicState) => ChainName,
): NftSet => ({
  kind: 'map',
  spec: `typeof ${key} : verdict;`,
  dynamic: false,
  elements: new Map(nics.map((nic) => [`"${nic.hostVeth}"`, `goto ${chain(nic)}`])),
});
