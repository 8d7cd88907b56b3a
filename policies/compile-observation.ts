/** `mode` and `until` of a policy: whether it observes, which directions, and how long. */
import type { Direction, Origin, PolicyChain } from '../render/rule.ts';
import type { CompileContext, Layer } from './compile-context.ts';
import { formatMoment, parseMoment } from './moment.ts';
import { shownFile } from './policy-files.ts';

const DAY = 86_400;

/** What a policy refuses passes meanwhile: a week shows what a machine does, and nobody forgets it for months. */
const LENGTH = { proposed: 7 * DAY, most: 31 * DAY } as const;

export interface Observation {
  readonly directions: readonly Direction[];
  readonly until: number;
  readonly origin: Origin;
}

const DIRECTIONS: ReadonlyMap<string, readonly Direction[]> = new Map([
  ['observe', ['egress', 'ingress']],
  ['observe-egress', ['egress']],
  ['observe-ingress', ['ingress']],
]);

/** `undefined` where the policy is enforced, or where something is wrong (which is reported). */
export function compileObservation({ document, policy }: Layer, context: CompileContext): Observation | undefined {
  const { mode = 'enforce', until: text } = policy;
  const report = (key: 'mode' | 'until', message: string, severity?: 'warning'): undefined =>
    void context.report(document.problemAt([key], message, severity));
  // Of a faulty file only parts are left.
  if (!document.ok) return undefined;
  const directions = DIRECTIONS.get(mode);
  if (directions === undefined) {
    if (text === undefined) return undefined;
    return report('until', '"until" ends an observation, and nothing is observed: remove it, or write mode: observe');
  }
  if (text === undefined) {
    const proposed = formatMoment(DAY * Math.ceil((context.now / 1000 + LENGTH.proposed) / DAY));
    return report('mode', `an observation has an end, within 31 days: add until: ${proposed}`);
  }
  const until = parseMoment(text);
  if (typeof until === 'string') return report('until', until);
  if (context.lookups.ask('ended', String(until))) {
    return report('until', `observing ended at ${formatMoment(until)}: remove "mode" and "until"`, 'warning');
  }
  if (!context.lookups.ask('ended', String(until - LENGTH.most))) {
    const latest = formatMoment(DAY * Math.floor((context.now / 1000 + LENGTH.most) / DAY));
    return report('until', `that is more than 31 days away: observe until ${latest} at the latest`);
  }
  const what = directions.length === 2 ? 'what it refuses passes' : `what its ${directions[0]} refuses passes`;
  report('mode', `the policy is observed until ${formatMoment(until)}: ${what}`, 'warning');
  return { directions, until, origin: { file: shownFile(document.file), ...document.placeOf(['mode'], 'key') } };
}

export const observeOf = (observation: Observation | undefined, direction: Direction): Pick<PolicyChain, 'observe'> =>
  observation?.directions.includes(direction) === true
    ? { observe: { until: observation.until, origin: observation.origin } }
    : {};
