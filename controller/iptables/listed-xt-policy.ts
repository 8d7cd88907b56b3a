/** A policy chain read back from iptables-save: what the kernel does now, whoever wrote it and when. */
import type { Family } from '../../render/address.ts';
import type { Origin, PolicyChain, RateLimit, Rule, Verdict } from '../../render/rule.ts';
import { LAST_MOMENT, type ListedRule, type Place, parseListedRule } from './listed-xt-rule.ts';

export const NOWHERE: Origin = { file: '', line: 1 };

interface Decided extends Rule {
  readonly action: Verdict;
  readonly isDefault: boolean;
  readonly from: Origin | null;
}

/** `undefined` where a rule isn't in the words that render/iptables/xt-policy.ts uses, or there is no such chain. */
export function parseXtPolicy(lines: readonly string[] | undefined, place: Place): PolicyChain | undefined {
  const listed = lines?.filter((line) => !/^-j RW-(?:NEVER|ORPHANS)$/.test(line));
  const parsed = listed?.map((line) => parseListedRule(line, place));
  if (parsed === undefined || parsed.includes(undefined)) return undefined;
  const found = enforcedRules(parsed.filter((rule) => rule !== undefined && rule.meant !== 'log'));
  const rules = found && decidedRules(found.enforced, place.family);
  if (found === undefined || rules === undefined) return undefined;
  const last = rules.at(-1);
  const { action: verdict, from: origin } = last?.isDefault ? last : FALLEN_THROUGH;
  const kept = last?.isDefault ? rules.slice(0, -1) : rules;
  return {
    direction: place.direction,
    rules: kept.map(({ isDefault: _, from: __, ...rule }) => rule),
    default: { verdict, log: false, origin },
    ...(found.observe && { observe: found.observe }),
  };
}

/** Somebody else took the default away: what returns from the chain is allowed. */
const FALLEN_THROUGH = { action: 'allow', from: null } as const;

interface Found {
  readonly enforced: readonly ListedRule[];
  readonly observe: PolicyChain['observe'];
}

/** Without what stands in front of each refusal while a chain observes; nothing is known where some have it and some don't. */
function enforcedRules(rules: readonly (ListedRule | undefined)[]): Found | undefined {
  const enforced: ListedRule[] = [];
  let observe: PolicyChain['observe'];
  let before: ListedRule | undefined;
  let unobserved = 0;
  for (const rule of rules) {
    if (rule === undefined) return undefined;
    if (rule.meant === 'observe') {
      const until = rule.untils.at(-1);
      if (before !== undefined || until === undefined || (observe?.until ?? until) !== until) return undefined;
      observe ??= { until, origin: rule.origin ?? NOWHERE };
      before = rule;
    } else {
      if (!(before === undefined ? rule.since === undefined : isEnforcedAfter(before, rule))) return undefined;
      if (before === undefined && rule.meant !== 'allow') unobserved += 1;
      before = undefined;
      enforced.push(rule);
    }
  }
  return before !== undefined || (observe !== undefined && unobserved > 0) ? undefined : { enforced, observe };
}

/** The time match knows no later moment to begin. */
const isEnforcedAfter = ({ untils, matched, limit }: ListedRule, rule: ListedRule): boolean =>
  rule.meant !== 'allow' &&
  rule.matched === matched &&
  Math.abs((untils.at(-1) ?? 0) - (rule.since ?? 0)) <= (rule.since === LAST_MOMENT ? 1 : 0) &&
  rule.untils.join() === untils.slice(0, -1).join() &&
  sameLimit(rule.limit, limit);

const sameLimit = (a: ListedRule['limit'], b: ListedRule['limit']): boolean =>
  a?.flows === b?.flows && a?.per === b?.per && a?.burst === b?.burst;

/** What is too much is refused in front of the rule that allows the rest. */
function decidedRules(rules: readonly ListedRule[], family: Family): Decided[] | undefined {
  const decided: Decided[] = [];
  let before: ListedRule | undefined;
  for (const rule of rules) {
    if (rule.limit !== undefined) {
      if (before !== undefined || rule.meant !== 'drop') return undefined;
      before = rule;
    } else {
      if (before !== undefined && !(rule.meant === 'allow' && isSameMatch(before, rule))) return undefined;
      const found = ruleOf(rule, family, before?.limit && { ...before.limit, shared: '' });
      if (found === undefined) return undefined;
      decided.push(found);
      before = undefined;
    }
  }
  return before === undefined ? decided : undefined;
}

const isSameMatch = (a: ListedRule, b: ListedRule): boolean =>
  a.matched === b.matched && a.untils.join() === b.untils.join();

function ruleOf(listed: ListedRule, family: Family, limit: RateLimit | undefined): Decided | undefined {
  const { peer, untils, origin, meant } = listed;
  const [until, ...more] = untils;
  const service = serviceOf(listed, family);
  if (service === undefined || more.length > 0 || meant === 'observe' || meant === 'log') return undefined;
  const isUnconditional = peer.kind === 'any' && service.kind === 'any' && until === undefined;
  return {
    ...{ family, peer, service, action: meant, log: false },
    origin: origin ?? NOWHERE,
    ...(until !== undefined && { until }),
    ...(limit && { limit }),
    ...{ isDefault: limit === undefined && isUnconditional, from: origin },
  };
}

function serviceOf({ protocol, ports, icmpType: type }: ListedRule, family: Family): Rule['service'] | undefined {
  const isIcmp = protocol === (family === 4 ? 1 : 58);
  if (type !== undefined && !isIcmp) return undefined;
  if (ports !== undefined)
    return protocol === 6 || protocol === 17 || protocol === 132 ? { kind: 'ports', protocol, ports } : undefined;
  if (protocol === undefined) return { kind: 'any' };
  if (isIcmp) return { kind: 'icmp', family, ...(type !== undefined && { type }) };
  return { kind: 'protocol', protocol };
}
