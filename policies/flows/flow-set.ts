/** Exact sets of flows, and their algebra. Both arguments must come from chains of the same host. */
import type { Decision } from './chain-flows.ts';
import { type FlowTable, mapLabels, overlay, someLabel } from './flow-table.ts';
import { LINE } from './service-line.ts';

/** `true` for the flows that belong to it. Canonical: equal sets have equal stretches and segments. */
export type FlowSet = FlowTable<boolean>;

const constant = (member: boolean): FlowSet => ({
  4: { starts: [0n], rows: [LINE[4].map((span) => ({ ...span, label: member }))] },
  6: { starts: [0n], rows: [LINE[6].map((span) => ({ ...span, label: member }))] },
});

export const NO_FLOWS: FlowSet = constant(false);
export const ALL_FLOWS: FlowSet = constant(true);

export const allowedBy = (table: FlowTable<Decision>): FlowSet =>
  mapLabels(table, ({ verdict }) => verdict === 'allow');

export const unite = (a: FlowSet, b: FlowSet): FlowSet => overlay(a, b, (one, other) => one || other);
export const intersect = (a: FlowSet, b: FlowSet): FlowSet => overlay(a, b, (one, other) => one && other);
/** What of `a` is not in `b`. */
export const subtract = (a: FlowSet, b: FlowSet): FlowSet => overlay(a, b, (one, other) => one && !other);

export const isEmptySet = (set: FlowSet): boolean => !someLabel(set, (member) => member);
export const isSubset = (a: FlowSet, b: FlowSet): boolean => isEmptySet(subtract(a, b));
export const equalSets = (a: FlowSet, b: FlowSet): boolean => isSubset(a, b) && isSubset(b, a);
