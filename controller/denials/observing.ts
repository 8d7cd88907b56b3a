/** Whether a policy observes at present, as `list` and `status` tell it. */

import { formatMoment } from '../../policies/moment.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import type { Direction } from '../../render/rule.ts';
import { asList, asOneOf, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';

export interface Observing {
  /** What these refuse passes, and is recorded. */
  readonly directions: readonly Direction[];
  /** ISO 8601, in UTC. */
  readonly until: string;
}

const DIRECTIONS = ['egress', 'ingress'] as const;

export function observingOf(policy: EnforcedPolicy | undefined): Observing | null {
  const observed = DIRECTIONS.flatMap((direction) => policy?.default[direction].observe ?? []);
  const [first] = observed;
  if (policy === undefined || first === undefined) return null;
  const directions = DIRECTIONS.filter((direction) => policy.default[direction].observe !== undefined);
  return { directions, until: formatMoment(first.until) };
}

/** A daemon of an earlier release doesn't tell. @throws ShapeError */
export const parseObserving = (of: Placed): Observing | null =>
  orNull(of, (placed) => {
    const field = fieldsOf(placed);
    return {
      directions: asList(field('directions')).map((one) => asOneOf(one, DIRECTIONS)),
      until: asText(field('until')),
    };
  });

/** `observes`, or of one direction `observes egress`. */
export const observingText = ({ directions: [first, second] }: Observing): string =>
  second === undefined ? `observes ${first}` : 'observes';
