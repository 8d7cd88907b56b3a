/** Finds one flow that a chain decides otherwise than expected. Exact: where it finds none, there is none. */
import { addressFrom, type Family } from '../../render/address.ts';
import type { PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import { firstUnknown } from '../flows/address-ranges.ts';
import { type Decision, flowsOfChain } from '../flows/chain-flows.ts';
import { type FlowTable, rowsIn } from '../flows/flow-table.ts';
import { knownNames } from '../flows/peer-addresses.ts';
import { intersectSpans } from '../flows/spans.ts';
import { type Expectation, expectedFlows, isAsExpected } from './expectation.ts';
import { type ExpectationFacts, nameable } from './expectation-facts.ts';
import { slimFacts } from './slim-facts.ts';

/** The rule that decides, by its position in the chain; `null`: the default. */
export type Position = number | null;

export interface Exception {
  readonly family: Family;
  /** An address, or `dns:NAME`. */
  readonly peer: string;
  /** A place of the service line. */
  readonly service: number;
  readonly verdict: Verdict;
  readonly position: Position;
}

type Asked = Pick<Expectation, 'verdict' | 'matches'>;

export const findException = (asked: Asked, chain: PolicyChain, all: ExpectationFacts): Exception | undefined =>
  exceptionsOf(chain, [asked], all)(asked);

/** `expectations`: all that will be asked about the chain, whose flows are cut once for all of them. */
export function exceptionsOf(
  chain: PolicyChain,
  expectations: readonly Asked[],
  all: ExpectationFacts,
): (asked: Asked) => Exception | undefined {
  const matches = expectations.flatMap((expectation) => expectation.matches);
  const facts = slimFacts(all, [...chain.rules, ...matches]);
  const tables = new Map<boolean, JudgedTable>();
  const tableOf = (wide: boolean): JudgedTable => {
    const table = tables.get(wide) ?? judgedTable(chain, facts, wide);
    tables.set(wide, table);
    return table;
  };
  return (asked) => exceptionIn(tableOf(asked.verdict !== 'allow'), asked, facts);
}

function exceptionIn(
  { table, positionOf }: JudgedTable,
  { verdict: expected, matches }: Asked,
  facts: ExpectationFacts,
): Exception | undefined {
  for (const family of [4, 6] as const) {
    const { peers, services } = expectedFlows(matches, family, facts.addresses);
    for (const [{ first: peer }, row] of rowsIn(table[family], peers)) {
      for (const segment of row) {
        const { verdict } = segment.label;
        if (isAsExpected(verdict, expected)) continue;
        const [span] = intersectSpans([segment], services);
        if (span === undefined) continue;
        const found = { family, peer: peerText(peer, family, facts), service: span.first, verdict };
        return { ...found, position: positionOf(segment.label) };
      }
    }
  }
  return undefined;
}

/** Names have places behind all addresses (flows/address-ranges.ts). */
function peerText(peer: bigint, family: Family, { addresses }: ExpectationFacts): string {
  if (peer < firstUnknown(family)) return addressFrom(peer, family);
  for (const [name, ranges] of knownNames(addresses))
    if (ranges[family].some(({ first }) => first === peer)) return `dns:${name}`;
  return 'a name';
}

/** The flows of a chain, and which of its rules decides each. */
export interface JudgedTable {
  readonly table: FlowTable<Decision>;
  readonly positionOf: (decision: Decision) => Position;
}

/** `wide`: the most that the chain may ever let pass, whatever its names come to mean. */
export function judgedTable(chain: PolicyChain, facts: ExpectationFacts, wide: boolean): JudgedTable {
  const everything = wide && chain.rules.some(({ peer }) => peer.kind === 'dns') ? nameable(facts) : NOTHING;
  const rules = chain.rules.flatMap((rule, position) =>
    (wide && rule.peer.kind === 'dns' ? widen(rule, everything) : [rule]).map((one) => [one, position] as const),
  );
  const positions = new Map<Rule, number>(rules);
  return {
    table: flowsOfChain({ ...chain, rules: rules.map(([rule]) => rule) }, facts.addresses),
    positionOf: ({ rule }) => (rule === null ? null : (positions.get(rule) ?? null)),
  };
}

/** Rules for names only allow: that each is taken for all addresses that it may come to have never hides anything. */
const widen = (rule: Rule, ranges: FamilyRanges): Rule[] =>
  ([4, 6] as const)
    .filter((family) => rule.family === undefined || rule.family === family)
    .map((family) => ({ ...rule, family, peer: { kind: 'ranges', family, ranges: ranges[family] } }));

const NOTHING: FamilyRanges = { 4: [], 6: [] };
