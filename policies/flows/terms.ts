/** How a flow is treated: the verdict, how many of such flows, until when, and what then. */
import type { RateLimit, Verdict } from '../../render/rule.ts';
import { formatMoment } from '../moment.ts';
import { describeLimit } from '../rate-limit.ts';

export interface Terms {
  readonly verdict: Verdict;
  readonly limit?: Omit<RateLimit, 'shared'>;
  /** `at` in seconds since 1970; `next` differs from what holds before. */
  readonly end?: { readonly at: number; readonly next: Terms };
}

/** Equal texts, equal terms; places don't count, nor what a limit is counted together with. */
export const termsKey = (terms: Terms): string => `${terms.verdict} ${describeTerms(terms)}`;

/** What holds at the moment, in seconds since 1970. */
export function termsAt<T extends Terms & { readonly end?: { readonly at: number; readonly next: T } }>(
  terms: T,
  at: number,
): T {
  return terms.end !== undefined && terms.end.at <= at ? termsAt(terms.end.next, at) : terms;
}

/** Whether neither limit nor verdict differ; ends don't count. */
export const sameNow = (a: Terms, b: Terms): boolean => a.verdict === b.verdict && limitText(a) === limitText(b);

export const PAST: Readonly<Record<Verdict, string>> = { allow: 'allowed', drop: 'dropped', reject: 'rejected' };

/** All but the verdict: `at most 20/second, 40 at once, until 2027-01-31T00:00:00Z, then dropped`; often empty. */
export function describeTerms(terms: Terms): string {
  const { limit, end } = terms;
  const limits = limit === undefined ? [] : [describeLimit(limit)];
  if (end === undefined) return limits.join();
  const { at, next } = end;
  const unlimited = limit !== undefined && next.verdict === 'allow' && next.limit === undefined;
  const later = `then ${PAST[next.verdict]}${unlimited ? ' without limit' : ''}`;
  return [...limits, `until ${formatMoment(at)}`, later, describeTerms(next)].filter((text) => text !== '').join(', ');
}

const limitText = ({ limit }: Terms): string => (limit === undefined ? '' : describeLimit(limit));

/** Whether more passes by `after` than by `before`: at once, else in the end, else for a longer time. */
export const isLooser = (after: Terms, before: Terms): boolean => compare(loosenessOf(after), loosenessOf(before)) > 0;

const SECONDS = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const;

function loosenessOf({ verdict, limit, end }: Terms): readonly number[] {
  const allowed = limit === undefined ? [Number.POSITIVE_INFINITY, 0] : [limit.flows / SECONDS[limit.per], limit.burst];
  const now = verdict === 'allow' ? allowed : [0, 0];
  if (end === undefined) return [...now, ...now, 0];
  const then = loosenessOf(end.next).slice(0, 2);
  return [...now, ...then, compare(now, then) > 0 ? end.at : -end.at];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const first = a.findIndex((value, index) => value !== b[index]);
  return (a[first] ?? 0) - (b[first] ?? 0);
}
