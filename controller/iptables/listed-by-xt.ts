/** Policy chains in a listing of iptables: each is a chain of either family, under one name. */
import { type Family, mergeRanges, parseRange } from '../../render/address.ts';
import type { DnsName } from '../../render/dns-name.ts';
import { nicChainName } from '../../render/iptables/xt-names.ts';
import { dnsSetOf } from '../../render/iptables/xt-policy.ts';
import { FAMILIES, type XtRuleset, type XtTable } from '../../render/iptables/xt-ruleset.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { Direction, PolicyChain, Rule } from '../../render/rule.ts';
import type { ListedChains } from '../kernel/listed-chains.ts';
import { type ListedSets, NOWHERE, parseXtPolicy } from './listed-xt-policy.ts';

/** `names`: those that policies mean; a set bears only the hash of its name. */
export function listedByXt(ruleset: XtRuleset, names: Iterable<DnsName>): ListedChains {
  const filter = (family: Family): XtTable | undefined => ruleset.families.get(family)?.tables.get('filter');
  const known = new Map(
    [...names].flatMap((name) => FAMILIES.map((family) => [dnsSetOf(name, family), name] as const)),
  );
  const sets: ListedSets = {
    nameOf: (set) => known.get(set),
    rangesOf: (set) => {
      const held = ruleset.sets.get(set);
      return held && mergeRanges([...held.elements].flatMap((element) => parseRange(element) ?? []));
    },
  };
  const nameIn = (family: Family, veth: InterfaceName, direction: Direction): string | undefined => {
    const table = filter(family);
    const lead = direction === 'egress' ? table?.chains.get(nicChainName(veth)) : receivers(table);
    const option = direction === 'egress' ? '' : `-o ${veth} `;
    const prefix = `${option}-g RW-${direction === 'egress' ? 'E' : 'I'}-`;
    return lead?.find((rule) => rule.startsWith(prefix))?.slice(option.length + '-g '.length);
  };
  return {
    nameFor: ({ hostVeth }, direction) => {
      const found = FAMILIES.map((family) => nameIn(family, hostVeth, direction));
      return found.every((name) => name === undefined) ? undefined : found.map((name) => name ?? '').join(' ');
    },
    textOf: (name) =>
      eachFamily(name)
        .map(([family, chain]) => filter(family)?.chains.get(chain)?.join('\n') ?? '')
        .join('\n\n'),
    read: (name, direction) => {
      const [v4, v6] = eachFamily(name).map(([family, chain]) =>
        parseXtPolicy(filter(family)?.chains.get(chain), { family, direction, sets }),
      );
      return v4 && v6 && joinFamilies(v4, v6);
    },
  };
}

/** The branches of the way to each interface's chain. */
const receivers = (table: XtTable | undefined): string[] =>
  [...(table?.chains ?? [])].flatMap(([name, rules]) => (/^RW-TO(?:-|$)/.test(name) ? rules : []));

const eachFamily = (name: string): [Family, string][] => {
  const [v4 = '', v6 = ''] = name.split(' ');
  return [
    [4, v4],
    [6, v6],
  ];
};

/** No packet is of both: the order between them doesn't matter. */
function joinFamilies(v4: PolicyChain, v6: PolicyChain): PolicyChain {
  const { verdict, origin } = v4.default;
  const ownDefault: Rule = {
    ...{ family: 4, peer: { kind: 'any' }, service: { kind: 'any' }, action: verdict, log: false },
    origin: origin ?? NOWHERE,
  };
  const observe = v6.observe ?? v4.observe;
  return {
    direction: v4.direction,
    rules: [...v4.rules, ...(verdict === v6.default.verdict ? [] : [ownDefault]), ...v6.rules],
    default: v6.default,
    ...(observe && { observe }),
  };
}
