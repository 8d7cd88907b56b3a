/** What a changed chain opens and closes, as few lines as possible, in the words of the policy language. */
import type { Family } from '../../render/address.ts';
import type { Direction, Origin, Verdict } from '../../render/rule.ts';
import type { FamilyRanges } from '../address-book.ts';
import type { ChangeTable, VerdictChange } from './compare-chains.ts';
import { describePeers } from './describe-peers.ts';
import { describeServices, type ServiceNames, type Wording } from './describe-services.ts';
import type { PeerNames } from './peer-names.ts';
import { type Rectangle, rectanglesOf } from './rectangles.ts';
import { LINE } from './service-line.ts';
import { intersectSpans } from './spans.ts';

/** A kind of flow whose verdict changes. */
export interface ChangeLine {
  readonly peers: Wording;
  /** With names of services, and without. */
  readonly services: Wording;
  readonly plainServices: Wording;
  readonly before: Verdict;
  readonly after: Verdict;
  /** It is about all flows that no rule decides, neither before nor after; `peers` and `services` are `any` then. */
  readonly otherwise: boolean;
  /** The lines that said and say so; empty where no file does. */
  readonly origins: { readonly before: readonly Origin[]; readonly after: readonly Origin[] };
}

export interface Names {
  readonly peers: PeerNames;
  readonly services: ServiceNames;
}

const VERDICTS: readonly Verdict[] = ['allow', 'reject', 'drop'];

/** What opens comes first. */
export function changeLines(table: ChangeTable, names: Names): ChangeLine[] {
  const pairs = VERDICTS.flatMap((after) => VERDICTS.map((before) => ({ before, after })));
  return pairs.flatMap((pair) => (pair.before === pair.after ? [] : linesOfPair(table, pair, names)));
}

type VerdictPair = Pick<ChangeLine, 'before' | 'after'>;

/** Where a default changes, the flows that it is about are what all the rules leave over: shortest said so. */
function linesOfPair(table: ChangeTable, pair: VerdictPair, names: Names): ChangeLine[] {
  const isPair = (change: VerdictChange | null): boolean =>
    change?.before.verdict === pair.before && change.after.verdict === pair.after;
  const ruled = (change: VerdictChange | null): boolean => isPair(change) && !isOtherwise(change);
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

const otherwiseLine = (rest: readonly Rectangle<VerdictChange | null>[], pair: VerdictPair): ChangeLine => ({
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

function lineOf(
  { peers, services, labels }: Rectangle<VerdictChange | null>,
  pair: VerdictPair,
  names: Names,
): ChangeLine {
  const withPeers = familiesIn(peers);
  const withServices = FAMILIES.filter((family) => intersectSpans(services, LINE[family]).length > 0);
  return {
    peers: describePeers(peers, withServices, names.peers),
    services: describeServices(services, withPeers, names.services),
    plainServices: describeServices(services, withPeers, NOTHING),
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

const PAST: Readonly<Record<Verdict, string>> = { allow: 'allowed', drop: 'dropped', reject: 'rejected' };

/** `web: from internet tcp/443 now dropped (was allowed by web.yaml:7)` */
export function formatChangeLine(line: ChangeLine, direction: Direction, who: string): string {
  const preposition = direction === 'egress' ? 'to' : 'from';
  const flows = line.otherwise
    ? `${direction} that no rule decides`
    : `${preposition} ${wordingText(line.peers)} ${wordingText(line.services)}`;
  const now = `now ${PAST[line.after]}${byText(line.origins.after)}`;
  const was = `was ${PAST[line.before]}${byText(line.origins.before)}`;
  return `${who}: ${flows} ${now} (${was})`;
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
