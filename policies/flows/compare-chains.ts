/** What differs between two chains of one direction, exactly: a flow is in the difference iff it is treated differently. */
import type { Origin, PolicyChain, Rule } from '../../render/rule.ts';
import { type Decision, overlayChains } from './chain-flows.ts';
import { type FlowTable, someLabel } from './flow-table.ts';
import type { HostAddresses } from './peer-addresses.ts';
import { type Terms, termsKey } from './terms.ts';

/** How a flow was and is treated, and which lines say so. */
export interface VerdictChange {
  readonly before: Ruling;
  readonly after: Ruling;
}

export interface Ruling {
  readonly terms: Terms;
  /** `null` where no file says so. */
  readonly origin: Origin | null;
  /** By the chain's default, or by a rule for any flow at all, which is the same by another name. */
  readonly byDefault: boolean;
}

/** `null` where nothing changes. */
export type ChangeTable = FlowTable<VerdictChange | null>;

export function compareChains(before: PolicyChain, after: PolicyChain, addresses: HostAddresses): ChangeTable {
  const changes = new Map<Decision, Map<Decision, VerdictChange | null>>();
  const meanings = new Map<string, VerdictChange>();
  return overlayChains(before, after, addresses, (old, next) => {
    const row = changes.get(old) ?? new Map<Decision, VerdictChange | null>();
    changes.set(old, row);
    const known = row.get(next);
    if (known !== undefined) return known;
    const change = termsKey(old) === termsKey(next) ? null : internChange(old, next, meanings);
    row.set(next, change);
    return change;
  });
}

/** Rules that one line of a file came to are one ruling. */
function internChange(old: Decision, next: Decision, meanings: Map<string, VerdictChange>): VerdictChange {
  const change = { before: rulingOf(old), after: rulingOf(next) };
  const key = JSON.stringify(change);
  const known = meanings.get(key) ?? change;
  meanings.set(key, known);
  return known;
}

const rulingOf = (decision: Decision): Ruling => ({
  terms: termsOf(decision),
  origin: decision.origin === null ? null : { file: decision.origin.file, line: decision.origin.line },
  byDefault: decision.rule === null || takesAll(decision.rule),
});

const termsOf = ({ verdict, limit, end }: Terms): Terms => ({
  verdict,
  ...(limit === undefined ? {} : { limit: { flows: limit.flows, per: limit.per, burst: limit.burst } }),
  ...(end === undefined ? {} : { end: { at: end.at, next: termsOf(end.next) } }),
});

const takesAll = ({ peer, service, family, until }: Rule): boolean =>
  peer.kind === 'any' && service.kind === 'any' && family === undefined && until === undefined;

/** Whether both chains say the same about every flow; logging and places don't count. */
export const sameMeaning = (a: PolicyChain, b: PolicyChain, addresses: HostAddresses): boolean =>
  !someLabel(compareChains(a, b, addresses), (change) => change !== null);
