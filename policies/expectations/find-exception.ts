/** Finds one flow that a chain decides otherwise than expected. Exact: where it finds none, there is none. */
import type { Family } from '../../render/address.ts';
import type { PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { type Decision, flowsOfChain } from '../flows/chain-flows.ts';
import { type FlowTable, rowsIn } from '../flows/flow-table.ts';
import { intersectSpans } from '../flows/spans.ts';
import { type Expectation, expectedFlows, isAsExpected } from './expectation.ts';
import type { ExpectationFacts } from './expectation-facts.ts';

/** The rule that decides, by its position in the chain; `null`: the default. */
export type Position = number | null;

export interface Exception {
  readonly family: Family;
  /** An address, or the place of a name behind all addresses (flows/address-ranges.ts). */
  readonly peer: bigint;
  /** A place of the service line. */
  readonly service: number;
  readonly verdict: Verdict;
  readonly position: Position;
}

export function findException(
  { verdict: expected, matches }: Pick<Expectation, 'verdict' | 'matches'>,
  chain: PolicyChain,
  facts: ExpectationFacts,
): Exception | undefined {
  const { table, positionOf } = judgedTable(chain, facts, expected !== 'allow');
  for (const family of [4, 6] as const) {
    const { peers, services } = expectedFlows(matches, family, facts.addresses);
    for (const [{ first: peer }, row] of rowsIn(table[family], peers)) {
      for (const segment of row) {
        const { verdict } = segment.label;
        if (isAsExpected(verdict, expected)) continue;
        const [span] = intersectSpans([segment], services);
        if (span === undefined) continue;
        return { family, peer, service: span.first, verdict, position: positionOf(segment.label) };
      }
    }
  }
  return undefined;
}

/** The flows of a chain, and which of its rules decides each. */
export interface JudgedTable {
  readonly table: FlowTable<Decision>;
  readonly positionOf: (decision: Decision) => Position;
}

/** `wide`: the most that the chain may ever let pass, whatever its names come to mean. */
export function judgedTable(chain: PolicyChain, { addresses, nameable }: ExpectationFacts, wide: boolean): JudgedTable {
  const rules = chain.rules.flatMap((rule, position) =>
    (wide && rule.peer.kind === 'dns' ? widen(rule, nameable) : [rule]).map((one) => [one, position] as const),
  );
  const positions = new Map<Rule, number>(rules);
  return {
    table: flowsOfChain({ ...chain, rules: rules.map(([rule]) => rule) }, addresses),
    positionOf: ({ rule }) => (rule === null ? null : (positions.get(rule) ?? null)),
  };
}

/** Rules for names only allow: that each is taken for all addresses that it may come to have never hides anything. */
const widen = (rule: Rule, nameable: FamilyRanges): Rule[] =>
  ([4, 6] as const)
    .filter((family) => rule.family === undefined || rule.family === family)
    .map((family) => ({ ...rule, family, peer: { kind: 'ranges', family, ranges: nameable[family] } }));
