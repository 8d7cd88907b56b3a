/** Finds one flow that a chain decides otherwise than expected. Exact: where it finds none, there is none. */
import type { Family } from '../../render/address.ts';
import type { PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { flowsOfChain } from '../flows/chain-flows.ts';
import { rowsIn } from '../flows/flow-table.ts';
import { intersectSpans } from '../flows/spans.ts';
import { type Expectation, expectedFlows, isAsExpected } from './expectation.ts';
import type { ExpectationFacts } from './expectation-facts.ts';

export interface Exception {
  readonly family: Family;
  /** An address, or the place of a name behind all addresses (flows/address-ranges.ts). */
  readonly peer: bigint;
  /** A place of the service line. */
  readonly service: number;
  readonly verdict: Verdict;
  /** The rule that decides, by its position in the chain; `null`: the default. */
  readonly position: number | null;
}

export function findException(
  { verdict: expected, matches }: Pick<Expectation, 'verdict' | 'matches'>,
  chain: PolicyChain,
  { addresses, nameable }: ExpectationFacts,
): Exception | undefined {
  const { judged, positions } = expected === 'allow' ? asWritten(chain) : withNamesAnywhere(chain, nameable);
  const table = flowsOfChain(judged, addresses);
  for (const family of [4, 6] as const) {
    const { peers, services } = expectedFlows(matches, family, addresses);
    for (const [{ first: peer }, row] of rowsIn(table[family], peers)) {
      for (const segment of row) {
        const { verdict, rule } = segment.label;
        if (isAsExpected(verdict, expected)) continue;
        const [span] = intersectSpans([segment], services);
        if (span === undefined) continue;
        const position = rule === null ? null : (positions.get(rule) ?? null);
        return { family, peer, service: span.first, verdict, position };
      }
    }
  }
  return undefined;
}

interface JudgedChain {
  readonly judged: PolicyChain;
  readonly positions: ReadonlyMap<Rule, number>;
}

const asWritten = (chain: PolicyChain): JudgedChain => ({
  judged: chain,
  positions: new Map(chain.rules.map((rule, position) => [rule, position])),
});

/**
 * The most that the chain may ever let pass. Rules for names only allow: that each is taken for all addresses that it
 * may come to have never hides anything.
 */
export function withNamesAnywhere(chain: PolicyChain, nameable: FamilyRanges): JudgedChain {
  const positions = new Map<Rule, number>();
  const rules = chain.rules.flatMap((rule, position) => {
    const wide =
      rule.peer.kind === 'dns' ? [4 as const, 6 as const].flatMap((family) => widen(rule, family, nameable)) : [rule];
    for (const one of wide) positions.set(one, position);
    return wide;
  });
  return { judged: { ...chain, rules }, positions };
}

const widen = (rule: Rule, family: Family, nameable: FamilyRanges): Rule[] =>
  rule.family !== undefined && rule.family !== family
    ? []
    : [{ ...rule, family, peer: { kind: 'ranges', family, ranges: nameable[family] } }];
