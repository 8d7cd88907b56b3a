/** A set of services (service-line.ts) in as few words of the policy language as say it. */
import type { Family } from '../../render/address.ts';
import { icmpTypes } from '../icmp-types.ts';
import { ICMP, ICMP_AT, LINE, PORTED_AT, portSegment } from './service-line.ts';
import { intersectSpans, mergeSpans, type Span, sameSpans, subtractSpans } from './spans.ts';

/** `words` without what `except` holds; `except` is empty where words say it all. */
export interface Wording {
  readonly words: readonly string[];
  readonly except: readonly string[];
}

/** Names that may stand for services, each with what it takes in both families. Names that mean the same: the first. */
export type ServiceNames = ReadonlyMap<string, readonly Span[]>;

/** `families`: those of the peers; what exists in no such family doesn't count. */
export function describeServices(spans: readonly Span[], families: readonly Family[], names: ServiceNames): Wording {
  const all = mergeSpans(families.flatMap((family) => LINE[family]));
  const wanted = intersectSpans(spans, all);
  let best: Wording = { words: wordsFor(wanted, all, names), except: [] };
  for (const base of [all, ...WIDE.map((spans) => intersectSpans(spans, all))]) {
    if (best.words.length + best.except.length <= 2) return best;
    if (subtractSpans(wanted, base).length > 0) continue;
    const words = wordsFor(base, all, names);
    const except = wordsFor(subtractSpans(base, wanted), all, names);
    if (words.length === 1 && except.length + 1 < best.words.length + best.except.length) best = { words, except };
  }
  return best;
}

/** What may be told as `icmp except …`. */
const WIDE: readonly (readonly Span[])[] = [mergeSpans([...ICMP[4], ...ICMP[6]]), ICMP[4], ICMP[6]];

function wordsFor(wanted: readonly Span[], all: readonly Span[], names: ServiceNames): string[] {
  if (sameSpans(wanted, all)) return ['any'];
  const words: string[] = [];
  let left = wanted;
  const take = (word: string, spans: readonly Span[]): void => {
    words.push(word);
    left = subtractSpans(left, spans);
  };
  for (const [word, spans] of names) {
    if (left.length === 0) return words;
    const real = intersectSpans(spans, all);
    if (real.length > 0 && real.every((span) => isWhole(span, left, wanted))) take(word, real);
  }
  return [...words, ...icmpWords(left, all), ...portWords(left), ...protocolWords(left)];
}

/** A name stands for what nothing goes on beside of: it doesn't cut a range of ports to pieces. */
function isWhole({ first, last }: Span, left: readonly Span[], wanted: readonly Span[]): boolean {
  const same = (span: Span): boolean => span.first === first && span.last === last;
  return left.some(same) && wanted.some(same);
}

const PORTED = { tcp: 6, udp: 17, sctp: 132 } as const;

function portWords(left: readonly Span[]): string[] {
  return (['tcp', 'udp', 'sctp'] as const).flatMap((name) => {
    const protocol = PORTED[name];
    const segment = portSegment(protocol);
    const here = intersectSpans(left, [segment]);
    if (here.length === 0) return [];
    if (sameSpans(here, [segment])) return [`proto/${protocol}`];
    const ports = here.map(({ first, last }) => rangeText(first - PORTED_AT[protocol], last - PORTED_AT[protocol]));
    return [`${name}/${ports.join(',')}`];
  });
}

const rangeText = (first: number, last: number): string => (first === last ? String(first) : `${first}-${last}`);

function* numbersIn(spans: readonly Span[]): Generator<number> {
  for (const { first, last } of spans) for (let at = first; at <= last; at += 1) yield at;
}

const protocolWords = (left: readonly Span[]): string[] =>
  [...numbersIn(intersectSpans(left, [{ first: 0, last: 255 }]))].map((protocol) => `proto/${protocol}`);

/** `icmp` where both families have all of it, `icmp/echo-request` where each has its own. */
function icmpWords(left: readonly Span[], all: readonly Span[]): string[] {
  const families = ([4, 6] as const).filter((family) => intersectSpans(ICMP[family], all).length > 0);
  const parts = families.map((family) => ({ family, spans: intersectSpans(left, ICMP[family]) }));
  if (parts.length > 0 && parts.every(({ family, spans }) => sameSpans(spans, ICMP[family]))) {
    return [families.length === 1 ? `icmp${families[0]}` : 'icmp'];
  }
  const words = parts.flatMap(({ family, spans }) =>
    sameSpans(spans, ICMP[family])
      ? [{ family, type: '' }]
      : [...numbersIn(spans)].map((at) => ({ family, type: `/${typeName(family, at - ICMP_AT[family])}` })),
  );
  const common = words.filter(
    ({ family, type }) => family === 4 && words.some((w) => w.family === 6 && w.type === type),
  );
  const shared = new Set(common.filter(({ type }) => !/^\/?\d*$/.test(type)).map(({ type }) => type));
  return [
    ...[...shared].map((type) => `icmp${type}`),
    ...words.filter(({ type }) => !shared.has(type)).map(({ family, type }) => `icmp${family}${type}`),
  ];
}

const typeName = (family: Family, type: number): string =>
  [...icmpTypes[family]].find(([, number]) => number === type)?.[0] ?? String(type);
