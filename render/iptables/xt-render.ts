/** Desired state as iptables' chains, ipset's sets and arptables' rules. */
import { type Family, familyOf, isHostPrefix } from '../address.ts';
import type { DesiredState, HostState, NicState } from '../desired.ts';
import type { ChainNaming } from '../nft.ts';
import { NON_PUBLIC } from '../non-public.ts';
import { dnsNamesOf } from '../policy-chain.ts';
import type { PolicyChain } from '../rule.ts';
import { renderDispatch } from './dispatch.ts';
import { filterChains, guarded, JUMPS, neighbourWords, ON_LINK, rawChains, solicit } from './xt-base.ts';
import { over, within } from './xt-limits.ts';
import {
  HELD_NET_SET,
  HELD_SET,
  isNameable,
  isWildcard,
  LAN_SET,
  NON_PUBLIC_SET,
  nicChainName,
  OWNED_SET,
  policyChainName,
  relatedChainName,
  SHUT_SET,
  solicitChainName,
} from './xt-names.ts';
import { dnsSetOf, renderXtPolicy, type XtPolicyChain } from './xt-policy.ts';
import { FAMILIES, type XtFamily, type XtRuleset, type XtSet } from './xt-ruleset.ts';
import { heldSet, interfaceSet, netElements, netSet, ownedSet, shortElement } from './xt-sets.ts';

export function renderXt(desired: DesiredState, nameOf: ChainNaming): XtRuleset {
  const nics = [...desired.nics.values()].filter(({ hostVeth }) => isNameable(hostVeth)).sort(byVeth);
  const claimed = [...desired.nics.values()].map(({ hostVeth }) => hostVeth);
  const { names } = guarded(desired.host, claimed);
  const unsayable = names.filter(isWildcard);
  const families = FAMILIES.map((family) => {
    const policies = policyChains(desired.host, nics, family, nameOf);
    const sets: [string, XtSet][] = [
      [OWNED_SET[family], ownedSet(family, ownedElements(nics, family))],
      ...heldSets(nics, family),
      [LAN_SET[family], netSet(family, netElements(family, desired.host.lan))],
      [NON_PUBLIC_SET[family], netSet(family, netElements(family, NON_PUBLIC[family]))],
      ...(unsayable.length === 0 ? [] : [[SHUT_SET[family], interfaceSet(family, unsayable)] as [string, XtSet]]),
      ...[...policies.values()].flatMap((chain) => [...chain.sets]),
      ...dnsSets(desired, nics, family),
    ];
    return { family, sets, tables: familyTables(desired, nics, { family, policies, nameOf, claimed }) };
  });
  return {
    sets: new Map(families.flatMap(({ sets }) => sets)),
    families: new Map(families.map(({ family, tables }) => [family, tables])),
    arp: arpRules(desired.host, nics, claimed),
  };
}

const byVeth = (a: NicState, b: NicState): number => (a.hostVeth < b.hostVeth ? -1 : 1);

const chainNameOf = (chain: PolicyChain, nameOf: ChainNaming): string =>
  policyChainName(chain.direction, nameOf(chain).slice(nameOf(chain).indexOf('_') + 1));

interface FamilyParts {
  readonly family: Family;
  readonly policies: ReadonlyMap<string, XtPolicyChain>;
  readonly nameOf: ChainNaming;
  readonly claimed: readonly NicState['hostVeth'][];
}

function familyTables({ host }: DesiredState, nics: readonly NicState[], parts: FamilyParts): XtFamily {
  const { family, policies, nameOf, claimed } = parts;
  const senders = new Map(nics.map(({ hostVeth }) => [hostVeth, nicChainName(hostVeth)]));
  const receivers = new Map(nics.map(({ hostVeth, ingress }) => [hostVeth, chainNameOf(ingress, nameOf)]));
  const chains: [string, readonly string[]][] = [
    ...filterChains(family, host, claimed),
    ...renderDispatch({ root: 'RW-FROM', option: '-i', targets: senders, otherwise: 'RW-GUARD-FROM' }),
    ...renderDispatch({ root: 'RW-TO', option: '-o', targets: receivers, otherwise: 'RW-GUARD-TO' }),
    ...nics.flatMap((nic) => nicChains(nic, host, family, chainNameOf(nic.egress, nameOf))),
    ...[...policies].map(([name, { rules }]): [string, readonly string[]] => [name, rules]),
  ];
  const holdsNets = nics.some(({ owned }) =>
    owned.some((prefix) => familyOf(prefix) === family && !isHostPrefix(prefix)),
  );
  return {
    tables: new Map([
      ['raw', { jumps: new Map(JUMPS.raw), chains: new Map(rawChains(family, host, claimed, holdsNets)) }],
      ['filter', { jumps: new Map(JUMPS.filter), chains: new Map(chains) }],
    ]),
  };
}

/** What one interface sends, before its policy is asked. */
function nicChains(nic: NicState, host: HostState, family: Family, egress: string): [string, string[]][] {
  const { hostVeth: veth } = nic;
  const owned = nic.owned.filter((prefix) => familyOf(prefix) === family);
  const { most, rate } = host.connections;
  const burst = 2 * Number.parseInt(rate, 10);
  // Only a connection's first packet is not confirmed yet.
  const first = '-m conntrack ! --ctstatus CONFIRMED';
  const main = [
    `-m conntrack --ctstate RELATED -g ${relatedChainName(veth)}`,
    `${first} ${over(rate, burst, ['connections', veth])} -j DROP`,
    `${first} -m connlimit --connlimit-above ${most} --connlimit-mask 0 --connlimit-saddr -j DROP`,
    ...(family === 4 ? [] : ON_LINK.map((match) => `-p ipv6-icmp ${match} -g ${solicitChainName(veth)}`)),
    `-g ${egress}`,
  ];
  const partner = owned.flatMap((prefix) =>
    ['orig', 'repl'].map((side) => `-m conntrack --ct${side}src ${prefix} -j RETURN`),
  );
  const chains: [string, string[]][] = [
    [nicChainName(veth), main],
    // Conntrack takes an error about a flow from anyone; a container without a part in it is none of its routers.
    [relatedChainName(veth), [...partner, '-j DROP']],
  ];
  if (family === 4) return chains;
  const link = [
    ...neighbourWords.map((match) => `${match} -j RETURN`),
    ...owned.filter(isHostPrefix).map((prefix) => `-s ${prefix} ${solicit} -j RETURN`),
    `-s ::/128 ${solicit} -j RETURN`,
    // Each other address is one more neighbour to remember, and a container can make them up without end.
    `${solicit} ${within('1/second', 20, ['solicit', veth])} -j RETURN`,
    `${solicit} -j DROP`,
    `-g ${egress}`,
  ];
  return [...chains, [solicitChainName(veth), link]];
}

function heldSets(nics: readonly NicState[], family: Family): [string, XtSet][] {
  const held = nics.flatMap(({ owned }) => owned.filter((prefix) => familyOf(prefix) === family));
  const nets = held.filter((prefix) => !isHostPrefix(prefix));
  return [
    [HELD_SET[family], heldSet(family, held.filter(isHostPrefix))],
    ...(nets.length === 0 ? [] : [[HELD_NET_SET[family], heldSet(family, nets)] as [string, XtSet]]),
  ];
}

const ownedElements = (nics: readonly NicState[], family: Family): string[] =>
  nics.flatMap(({ hostVeth, owned }) =>
    owned.filter((prefix) => familyOf(prefix) === family).map((prefix) => shortElement(`${prefix},${hostVeth}`)),
  );

function policyChains(
  { log }: HostState,
  nics: readonly NicState[],
  family: Family,
  nameOf: ChainNaming,
): Map<string, XtPolicyChain> {
  const chains = new Map<string, PolicyChain>();
  for (const nic of nics) for (const chain of [nic.egress, nic.ingress]) chains.set(chainNameOf(chain, nameOf), chain);
  const sorted = [...chains].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([name, chain]) => [name, renderXtPolicy(chain, family, log)]));
}

function dnsSets({ dns }: DesiredState, nics: readonly NicState[], family: Family): [string, XtSet][] {
  const names = new Set(nics.flatMap(({ egress, ingress }) => [...dnsNamesOf(egress), ...dnsNamesOf(ingress)]));
  return [...names].sort().map((name) => {
    const addresses = (dns.get(name) ?? []).filter((address) => familyOf(address) === family);
    return [dnsSetOf(name, family), netSet(family, addresses)];
  });
}

/** `-i veth1 -s 198.51.100.10 -j RETURN`; without them, what is guarded says nothing by ARP. */
function arpRules(host: HostState, nics: readonly NicState[], claimed: readonly NicState['hostVeth'][]): Set<string> {
  const { names, patterns } = guarded(host, claimed);
  const senders = nics.flatMap(({ hostVeth, owned }) =>
    owned
      .filter((prefix) => familyOf(prefix) === 4)
      .map((prefix) => `-j RETURN -i ${hostVeth} -s ${shortElement(prefix)}`),
  );
  return new Set([
    ...senders,
    ...host.uplinks.filter(isNameable).map((uplink) => `-j RETURN -i ${uplink}`),
    ...[...patterns, ...names.filter(isNameable)].map((name) => `-j DROP -i ${name}`),
  ]);
}
