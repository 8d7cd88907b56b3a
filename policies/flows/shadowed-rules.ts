/** Rules of a chain that no packet meets, because rules before them decide about all that they are for. */
import type { Direction, Rule } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { intersectRanges, wholeFamily } from './address-ranges.ts';
import { type Decision, flowsOfChain } from './chain-flows.ts';
import { type FlowTable, rowsOf } from './flow-table.ts';
import { type HostAddresses, rangesOfPeer } from './peer-addresses.ts';
import { spansOfService } from './service-line.ts';
import { intersectSpans } from './spans.ts';

/**
 * @param rules in order, each as the alternatives that it was compiled to; those without any are nobody's concern
 * @returns by index, the indices of the rules that together take all of it, ascending
 */
export function findShadowed(
  rules: readonly (readonly Rule[])[],
  direction: Direction,
  addresses: HostAddresses,
): Map<number, readonly number[]> {
  const indices = new Map(rules.flatMap((parts, index) => parts.map((part): [Rule, number] => [part, index])));
  const met = new Set<number>();
  const chain = { direction, rules: rules.flat(), default: { verdict: 'drop', log: false, origin: null } } as const;
  const table = flowsOfChain(chain, addresses, (rule) => met.add(indices.get(rule) ?? -1));
  const shadowed = rules.flatMap((parts, index) => (parts.length === 0 || met.has(index) ? [] : [{ parts, index }]));
  return new Map(
    shadowed.map(({ parts, index }) => {
      const takers = parts.flatMap((part) => [...rulesInPlaceOf(part, table, addresses)]);
      const found = new Set(takers.flatMap((rule) => indices.get(rule) ?? []));
      return [index, [...found].filter((other) => other < index).sort((a, b) => a - b)];
    }),
  );
}

/** Those that decide about the flows of the rule, now or when others have ended. */
function* rulesInPlaceOf(rule: Rule, table: FlowTable<Decision>, addresses: HostAddresses): Generator<Rule> {
  for (const family of [4, 6] as const) {
    if (rule.family !== undefined && rule.family !== family) continue;
    const spans = spansOfService(rule.service, family);
    const peers = rangesOfPeer(rule.peer, family, addresses);
    for (const [row, ranges] of rowsOf(table[family], family)) {
      if (intersectRanges(ranges, peers).length === 0) continue;
      for (const { label, ...span } of row) if (intersectSpans([span], spans).length > 0) yield* rulesOf(label);
    }
  }
}

function* rulesOf(decision: Decision): Generator<Rule> {
  if (decision.rule !== null) yield decision.rule;
  if (decision.end !== undefined) yield* rulesOf(decision.end.next);
}

/**
 * The host and its links may have other addresses tomorrow: a rule about them that is covered by addresses alone is not
 * shadowed. So each has an address more, which nothing else has.
 */
export function withUnknownAddresses(addresses: HostAddresses): HostAddresses {
  const more = (ranges: FamilyRanges, below: bigint): FamilyRanges => {
    const at = (family: 4 | 6) => ({ family, first: last(family) - below, last: last(family) - below });
    return { 4: [...ranges[4], at(4)], 6: [...ranges[6], at(6)] };
  };
  return { ...addresses, host: more(addresses.host, 0n), lan: more(addresses.lan, 2n) };
}

const last = (family: 4 | 6): bigint => wholeFamily(family).last;
