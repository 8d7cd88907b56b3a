/** What `status` tells of the revisions: which one is in force, and which files wait. */
import { asBoolean, asList, asNumber, asOneOf, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';

/** `apply`: autoApply is off; `confirm`: not before the confirmation; `refused`: they were rolled or taken back; `missing`: the folder. */
export type WaitingReason = (typeof REASONS)[number];
const REASONS = ['apply', 'confirm', 'refused', 'missing'] as const;

export interface RevisionView {
  /** `null`: none yet, or none that can be read. */
  readonly inForce: number | null;
  readonly autoApply: boolean;
  readonly unconfirmed: { readonly revision: number; readonly previous: number; readonly until: string } | null;
  /** Files that differ from what is in force, and why they aren't followed. */
  readonly waiting: readonly string[];
  readonly reason: WaitingReason | null;
}

/** @throws ShapeError */
export function parseRevisionView(of: Placed): RevisionView {
  const field = fieldsOf(of);
  return {
    inForce: orNull(field('inForce'), asNumber),
    autoApply: asBoolean(field('autoApply')),
    unconfirmed: orNull(field('unconfirmed'), (placed) => {
      const inside = fieldsOf(placed);
      return {
        revision: asNumber(inside('revision')),
        previous: asNumber(inside('previous')),
        until: asText(inside('until')),
      };
    }),
    waiting: asList(field('waiting')).map(asText),
    reason: orNull(field('reason'), (placed) => asOneOf(placed, REASONS)),
  };
}
