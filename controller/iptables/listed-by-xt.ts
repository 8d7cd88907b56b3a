/** Policy chains in a listing of iptables: each is a chain of either family, under one name. */
import { type Family, mergeRanges, parseRange } from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { isOneLimit, limitTable } from '../../render/iptables/xt-limits.ts';
import { nicChainName } from '../../render/iptables/xt-names.ts';
import { dnsSetOf } from '../../render/iptables/xt-policy.ts';
import { FAMILIES, type XtRuleset, type XtTable } from '../../render/iptables/xt-ruleset.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { Direction, PolicyChain, Rule } from '../../render/rule.ts';
import type { ListedChains } from '../kernel/listed-chains.ts';
import { NOWHERE, parseXtPolicy } from './listed-xt-policy.ts';
import type { ListedLimit, Meanings } from './listed-xt-rule.ts';

/** What names in rules stand for; a set or a table of a limit bears only the hash of what it is for. */
export interface XtNames {
  /** The state whose policies mean them. */
  readonly desired: Pick<DesiredState, 'dns' | 'nics'>;
  readonly protocols: ReadonlyMap<string, number>;
}

export function listedByXt(ruleset: XtRuleset, names: XtNames): ListedChains {
  const filter = (family: Family): XtTable | undefined => ruleset.families.get(family)?.tables.get('filter');
  const meanings = meaningsOf(ruleset, names);
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
        parseXtPolicy(filter(family)?.chains.get(chain), { family, direction, meanings }),
      );
      return v4 && v6 && joinFamilies(v4, v6);
    },
  };
}

function meaningsOf({ sets }: XtRuleset, { desired, protocols }: XtNames): Meanings {
  const names = new Map(
    [...desired.dns.keys()].flatMap((name) => FAMILIES.map((family) => [dnsSetOf(name, family), name] as const)),
  );
  let limits: ReadonlyMap<string, ListedLimit> | undefined;
  return {
    nameOf: (set) => names.get(set),
    rangesOf: (set) => {
      const held = sets.get(set);
      return held && mergeRanges([...held.elements].flatMap((element) => parseRange(element) ?? []));
    },
    limitOf: (table, listed) => {
      limits ??= new Map([...desired.nics.values()].flatMap(limitsOf));
      const meant = limits.get(table);
      return meant !== undefined && isOneLimit(meant, listed) ? meant : listed;
    },
    protocolOf: (name) => protocols.get(name),
  };
}

const limitsOf = ({ egress, ingress }: NicState): [string, ListedLimit][] =>
  [egress, ingress].flatMap((chain) =>
    chain.rules.flatMap(({ limit }): [string, ListedLimit][] => {
      if (limit === undefined) return [];
      const { flows, per, burst } = limit;
      return [[limitTable(chain, limit), { flows, per, burst }]];
    }),
  );

/** `ospf  89  OSPFIGP  # …`, as /etc/protocols has them. */
export const parseProtocolNames = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [, name, number] = /^([^\s#]+)\s+(\d+)/.exec(line) ?? [];
      return name === undefined ? [] : [[name, Number(number)]];
    }),
  );

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
function joinFamilies(v4: PolicyChain, v6: PolicyChain): PolicyChain | undefined {
  if (v4.observe !== undefined && v6.observe !== undefined && v4.observe.until !== v6.observe.until) return undefined;
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
