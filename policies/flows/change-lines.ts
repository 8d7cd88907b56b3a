/** What a changed chain opens and closes, as few lines as possible, in the words of the policy language. */
import type { Family } from '../../render/address.ts';
import type { Direction, Origin } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import type { ChangeTable, VerdictChange } from './compare-chains.ts';
import { describePeers } from './describe-peers.ts';
import { describeServices, type ServiceNames, type Wording } from './describe-services.ts';
import { labelsOf } from './flow-table.ts';
import type { PeerNames } from './peer-names.ts';
import { type Rectangle, rectanglesOf } from './rectangles.ts';
import { LINE } from './service-line.ts';
import { intersectSpans } from './spans.ts';
import { describeTerms, isLooser, PAST, type Terms, termsKey } from './terms.ts';

/** A kind of flow that is treated differently. */
export interface ChangeLine {
  readonly peers: Wording;
  /** With names of services, and without. */
  readonly services: Wording;
  readonly plainServices: Wording;
  readonly before: Terms;
  readonly after: Terms;
  /** More passes than before. */
  readonly opens: boolean;
  /** It is about all flows that no rule decides, neither before nor after; `peers` and `services` are `any` then. */
  readonly otherwise: boolean;
  /** The lines that said and say so; empty where no file does. */
  readonly origins: { readonly before: readonly Origin[]; readonly after: readonly Origin[] };
}

export interface Names {
  readonly peers: PeerNames;
  readonly services: ServiceNames;
}

/** What opens comes first. */
export function changeLines(table: ChangeTable, names: Names): ChangeLine[] {
  const pairs = new Map<string, TermsPair>();
  for (const change of labelsOf(table)) if (change !== null) pairs.set(pairKey(change), pairOf(change));
  return [...pairs]
    .sort(([a, one], [b, other]) => Number(other.opens) - Number(one.opens) || (a < b ? -1 : 1))
    .flatMap(([key, pair]) => linesOfPair(table, (change) => change !== null && pairKey(change) === key, pair, names));
}

type TermsPair = Pick<ChangeLine, 'before' | 'after' | 'opens'>;

const pairKey = ({ before, after }: VerdictChange): string => `${termsKey(after.terms)} ${termsKey(before.terms)}`;

const pairOf = ({ before, after }: VerdictChange): TermsPair => ({
  before: before.terms,
  after: after.terms,
  opens: isLooser(after.terms, before.terms),
});

type Test = (change: VerdictChange | null) => boolean;

/** Where a default changes, the flows that it is about are what all the rules leave over: shortest said so. */
function linesOfPair(table: ChangeTable, isPair: Test, pair: TermsPair, names: Names): ChangeLine[] {
  const ruled: Test = (change) => isPair(change) && !isOtherwise(change);
  const whole = rectanglesOf(table, isPair);
  if (whole.length <= 1) return whole.map((one) => lineOf(one, pair, names));
  const rest = rectanglesOf(table, (change) => isPair(change) && isOtherwise(change));
  const chosen = rest.length <= 1 ? whole : rectanglesOf(table, ruled);
  const lines = chosen.map((one) => lineOf(one, pair, names)).sort((a, b) => (lineKey(a) < lineKey(b) ? -1 : 1));
  return rest.length <= 1 ? lines : [...lines, otherwiseLine(rest, pair)];
}

const isOtherwise = (change: VerdictChange | null): boolean =>
  change?.before.byDefault === true && change.after.byDefault;

const ANY: Wording = { words: ['any'], except: [] };

const otherwiseLine = (rest: readonly Rectangle<VerdictChange | null>[], pair: TermsPair): ChangeLine => ({
  peers: ANY,
  services: ANY,
  plainServices: ANY,
  ...pair,
  otherwise: true,
  origins: originsIn(rest.flatMap(({ labels }) => labels)),
});

const lineKey = ({ peers, plainServices }: ChangeLine): string => JSON.stringify([peers, plainServices]);

const FAMILIES: readonly Family[] = [4, 6];
const NOTHING: ServiceNames = new Map();

/** Services of one family alone tell the family (`icmp6/200`); where they exist in both, the peers have to tell it. */
function lineOf(
  { peers, services, labels }: Rectangle<VerdictChange | null>,
  pair: TermsPair,
  names: Names,
): ChangeLine {
  const withServices = FAMILIES.filter((family) => intersectSpans(services, LINE[family]).length > 0);
  const counting = withServices.length === 1 ? FAMILIES : familiesIn(peers);
  return {
    peers: describePeers(peers, withServices, names.peers),
    services: describeServices(services, counting, names.services),
    plainServices: describeServices(services, counting, NOTHING),
    ...pair,
    otherwise: false,
    origins: originsIn(labels),
  };
}

const originsIn = (labels: readonly (VerdictChange | null)[]): ChangeLine['origins'] => ({
  before: originsOf(labels.flatMap((label) => label?.before.origin ?? [])),
  after: originsOf(labels.flatMap((label) => label?.after.origin ?? [])),
});

const familiesIn = (ranges: FamilyRanges): Family[] => FAMILIES.filter((family) => ranges[family].length > 0);

const originsOf = (origins: readonly Origin[]): Origin[] =>
  [...new Map(origins.map((origin) => [placeText(origin), origin])).values()].sort((a, b) =>
    a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1,
  );

/** `web: from internet tcp/443 now dropped (was allowed by web.yaml:7)` */
export function formatChangeLine(line: ChangeLine, direction: Direction, who: string): string {
  const preposition = direction === 'egress' ? 'to' : 'from';
  const flows = line.otherwise
    ? `${direction} that no rule decides`
    : `${preposition} ${wordingText(line.peers)} ${wordingText(named(line.services))}`;
  const now = `now ${rulingText(line.after, line.origins.after)}`;
  const was = `was ${rulingText(line.before, line.origins.before)}`;
  return `${who}: ${flows} ${now} (${was})`;
}

/** Beside peers that are called the same, `any` alone is hard to read. */
const named = ({ words, except }: Wording): Wording => ({
  words: words.map((word) => (word === 'any' ? 'all services' : word)),
  except,
});

/** `allowed by web.yaml:4, at most 20/second, 40 at once` */
function rulingText(terms: Terms, origins: readonly Origin[]): string {
  const ruling = `${PAST[terms.verdict]}${byText(origins)}`;
  const more = describeTerms(terms);
  if (more === '') return ruling;
  return `${ruling}${more.startsWith('until') ? ' ' : ', '}${more}`;
}

/** More than these are counted, not listed. */
const LISTED = 4;

const wordingText = ({ words, except }: Wording): string =>
  except.length === 0 ? listText(words) : `${listText(words)} except ${listText(except)}`;

function listText(words: readonly string[]): string {
  const shown = words.slice(0, LISTED).join(', ');
  return words.length > LISTED ? `${shown} and ${words.length - LISTED} more` : shown;
}

function byText(origins: readonly Origin[]): string {
  if (origins.length === 0) return '';
  return ` by ${listText(origins.map(placeText))}`;
}

export const placeText = ({ file, line }: Origin): string => `${file}:${line}`;

/** The line as pairs of one peer and one service, none of them counted only. */
export function rowsOfLine({
  peers,
  plainServices,
}: ChangeLine): { readonly peer: string; readonly service: string }[] {
  return parts(peers).flatMap((peer) =>
    parts(plainServices)
      .flatMap(splitPorts)
      .map((service) => ({ peer, service })),
  );
}

const parts = ({ words, except }: Wording): readonly string[] =>
  except.length === 0 ? words : [`${words.join(', ')} except ${except.join(', ')}`];

/** `tcp/80,443` → `tcp/80`, `tcp/443` */
function splitPorts(service: string): string[] {
  const [, name, ports] = /^(tcp|udp|sctp)\/([\d,-]+)$/.exec(service) ?? [];
  return ports === undefined ? [service] : ports.split(',').map((port) => `${name}/${port}`);
}
