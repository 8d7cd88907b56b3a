/** Sets of whole numbers as sorted spans that neither overlap nor touch. */

/** Both ends belong to it. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.first - b.first)) {
    const top = merged.at(-1);
    if (top === undefined || span.first > top.last + 1) merged.push(span);
    else if (span.last > top.last) merged[merged.length - 1] = { first: top.first, last: span.last };
  }
  return merged;
}

export function intersectSpans(a: readonly Span[], b: readonly Span[]): Span[] {
  const common: Span[] = [];
  let index = 0;
  for (const span of a) {
    for (let other = b[index]; other !== undefined; other = b[index]) {
      if (other.first > span.last) break;
      if (other.last >= span.first) {
        common.push({ first: Math.max(span.first, other.first), last: Math.min(span.last, other.last) });
      }
      // The other one may reach into the next span too.
      if (other.last > span.last) break;
      index += 1;
    }
  }
  return common;
}

/** What of `a` is not in `b`. */
export function subtractSpans(a: readonly Span[], b: readonly Span[]): Span[] {
  const left: Span[] = [];
  let index = 0;
  for (const { first, last } of a) {
    let from = first;
    for (let other = b[index]; other !== undefined; other = b[index]) {
      if (other.first > last) break;
      if (other.first > from) left.push({ first: from, last: other.first - 1 });
      if (other.last >= from) from = other.last + 1;
      if (other.last > last) break;
      index += 1;
    }
    if (from <= last) left.push({ first: from, last });
  }
  return left;
}

export const sameSpans = (a: readonly Span[], b: readonly Span[]): boolean =>
  a.length === b.length && a.every((span, index) => span.first === b[index]?.first && span.last === b[index]?.last);
