/** What differs between two chains of one direction, exactly: a flow is in the difference iff its verdict differs. */
import type { Origin, PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import { type Decision, flowsOfChain } from './chain-flows.ts';
import { type FlowTable, overlay, someLabel } from './flow-table.ts';
import type { HostAddresses } from './peer-addresses.ts';

/** What a flow's verdict was and is, and which lines say so; `null` for a verdict that no file states. */
export interface VerdictChange {
  readonly before: Ruling;
  readonly after: Ruling;
}

export interface Ruling {
  readonly verdict: Verdict;
  readonly origin: Origin | null;
  /** By the chain's default, or by a rule for any flow at all, which is the same by another name. */
  readonly byDefault: boolean;
}

/** `null` where nothing changes. */
export type ChangeTable = FlowTable<VerdictChange | null>;

export function compareChains(before: PolicyChain, after: PolicyChain, addresses: HostAddresses): ChangeTable {
  return compareTables(flowsOfChain(before, addresses), flowsOfChain(after, addresses));
}

function compareTables(before: FlowTable<Decision>, after: FlowTable<Decision>): ChangeTable {
  const changes = new Map<Decision, Map<Decision, VerdictChange | null>>();
  const meanings = new Map<string, VerdictChange>();
  return overlay(before, after, (old, next) => {
    const row = changes.get(old) ?? new Map<Decision, VerdictChange | null>();
    changes.set(old, row);
    const known = row.get(next);
    if (known !== undefined) return known;
    const change = old.verdict === next.verdict ? null : internChange(old, next, meanings);
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

const rulingOf = ({ verdict, origin, rule }: Decision): Ruling => ({
  verdict,
  origin,
  byDefault: rule === null || takesAll(rule),
});

const takesAll = ({ peer, service, family }: Rule): boolean =>
  peer.kind === 'any' && service.kind === 'any' && family === undefined;

/** Whether both chains say the same about every flow; logging and places don't count. */
export const sameMeaning = (a: PolicyChain, b: PolicyChain, addresses: HostAddresses): boolean =>
  !someLabel(compareChains(a, b, addresses), (change) => change !== null);
