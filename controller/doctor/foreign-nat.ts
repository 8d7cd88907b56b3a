/** Other programs' chains that may send a packet to another address than the one it has; pure. */
import type { JsonObject } from '../json-shape.ts';
import { evaluateMatch, type ForeignPacket } from './foreign-match.ts';
import type { ForeignChain } from './foreign-ruleset.ts';
import { HOOKS, hasFamily, type Way } from './judge-packet.ts';

/** `packets`: all that it may be. A chain that is only jumped to counts, whoever jumps there. */
export function translatorsOf(
  chains: readonly ForeignChain[],
  way: Way,
  packets: readonly ForeignPacket[],
): ForeignChain[] {
  const hooks: readonly string[] = HOOKS[way];
  return chains.filter(
    ({ base, rules, table }) =>
      (base === null || hooks.includes(base.hook)) &&
      rules.some(
        (rule) => rule.some(translates) && packets.some((packet) => hasFamily(table, packet) && mayMatch(rule, packet)),
      ),
  );
}

const TARGETS: readonly unknown[] = ['DNAT', 'REDIRECT', 'NETMAP'];

function translates(expression: JsonObject): boolean {
  if ('dnat' in expression || 'redirect' in expression) return true;
  const { xt } = expression;
  return typeof xt === 'object' && xt !== null && 'name' in xt && TARGETS.includes(xt.name);
}

const mayMatch = (rule: readonly JsonObject[], packet: ForeignPacket): boolean =>
  rule.every((expression) => !('match' in expression) || evaluateMatch(expression['match'], packet) !== 'no');
