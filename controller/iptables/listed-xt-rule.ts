/** One rule of a policy chain as iptables-save prints it. */
import { type AddressRange, type Family, mergeRanges, parseRange } from '../../render/address.ts';
import type { DnsName } from '../../render/dns-name.ts';
import type { Direction, Origin, PeerMatch, PortRange, RateLimit, Verdict } from '../../render/rule.ts';
import { protocolNumber } from '../kernel/listed-policy.ts';

export type ListedLimit = Omit<RateLimit, 'shared'>;

/** What the rules alone don't say. */
export interface Meanings {
  /** Of the name that a set stands for; `undefined` for every other. */
  nameOf(set: string): DnsName | undefined;
  rangesOf(set: string): readonly AddressRange[] | undefined;
  /** As the policy says it: iptables-save prints 120/minute as 2/sec, and 7000/second as 7042/sec. */
  limitOf(table: string, listed: ListedLimit): ListedLimit;
  /** By the host's own /etc/protocols, from which iptables-save has its names. */
  protocolOf(name: string): number | undefined;
}

export interface Place {
  readonly family: Family;
  readonly direction: Direction;
  readonly meanings: Meanings;
}

export interface ListedRule {
  readonly peer: PeerMatch;
  readonly protocol?: number;
  readonly ports?: readonly PortRange[];
  readonly icmpType?: number;
  /** When it ends, in seconds since 1970; of one that observes, the observation's end comes last. */
  readonly untils: readonly number[];
  readonly since?: number;
  readonly limit?: ListedLimit;
  readonly meant: Verdict | 'observe' | 'log';
  readonly origin: Origin | null;
  /** Equal in rules that match the same, whatever their limit, time and target. */
  readonly matched: string;
}

interface Draft extends Partial<Omit<ListedRule, 'untils' | 'peer'>> {
  peer?: PeerMatch;
  /** What the peer is not, in the words of `internet`. */
  readonly not: Set<string>;
  protocol?: number;
  ports?: readonly PortRange[];
  icmpType?: number;
  readonly untils: number[];
  since?: number;
  limit?: ListedLimit;
  isBelow?: true;
  meant?: ListedRule['meant'];
  origin: Origin | null;
}

/**
 * `-d 192.0.2.0/24 -p tcp -m tcp --dport 80 -m comment --comment "web.yaml:1" -j RETURN`; `undefined` where any part of it
 * isn't in the words of render/iptables/xt-policy.ts: what is passed over would be a rule that means more than it says.
 */
export function parseListedRule(line: string, place: Place): ListedRule | undefined {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
  const draft: Draft = { not: new Set(), untils: [], origin: null };
  while (words.length > 0) {
    const isNot = words[0] === '!';
    if (isNot) words.shift();
    const take = (isNot ? NEGATED : OPTIONS).get(words.shift() ?? '');
    if (take?.(draft, words, place) !== true) return undefined;
  }
  const { not, isBelow, meant, ...rest } = draft;
  const peer = peerOf(draft);
  if (peer === undefined || meant === undefined) return undefined;
  // A log may be rare; a verdict up to some rate isn't ours.
  if (isBelow === true && meant !== 'log') return undefined;
  return { ...rest, peer, meant, matched: matchedOf(line) };
}

/** `internet` is the only peer that says what it is not, and then all of it; a name's addresses, besides, aren't this host's. */
function peerOf({ peer, not }: Draft): PeerMatch | undefined {
  if (not.size === 0) return peer ?? { kind: 'any' };
  if (not.size === 1 && not.has('local') && (peer?.kind === 'dns' || peer?.kind === 'ranges')) return peer;
  return peer === undefined && not.size === 4 ? { kind: 'internet' } : undefined;
}

const matchedOf = (line: string): string =>
  line
    .replace(/-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)/, '')
    .replace(/-m time(?: --date\w+ \S+)+/g, '')
    .replace(/-m hashlimit(?: --hashlimit-\S+ \S+)+/, '')
    .replace(/-[jg] \S+$/, '')
    .replace(/\s+/g, ' ')
    .trim();

type Take = (draft: Draft, words: string[], place: Place) => boolean;

const skip: Take = (_, words) => words.shift() !== undefined;

const sideOf = ({ direction }: Place): 'src' | 'dst' => (direction === 'egress' ? 'dst' : 'src');

/** A second condition on the peer would narrow the first. */
function setPeer(draft: Draft, peer: PeerMatch): boolean {
  if (draft.peer !== undefined) return false;
  draft.peer = peer;
  return true;
}

const takeRange =
  (side: 'src' | 'dst'): Take =>
  (draft, words, place) => {
    const range = parseRange(words.shift() ?? '');
    if (range?.family !== place.family || side !== sideOf(place)) return false;
    return setPeer(draft, { kind: 'ranges', family: range.family, ranges: [range] });
  };

const takeLocal =
  (side: 'src' | 'dst', take: (draft: Draft) => boolean): Take =>
  (draft, words, place) =>
    words.shift() === 'LOCAL' && side === sideOf(place) && take(draft);

const takeSet: Take = (draft, words, place) => {
  const [set = '', side] = words.splice(0, 2);
  const { family, meanings } = place;
  if (side !== sideOf(place)) return false;
  if (set === `RW-lan${family}`) return setPeer(draft, { kind: 'lan' });
  const name = meanings.nameOf(set);
  if (name !== undefined) return setPeer(draft, { kind: 'dns', name });
  // What no policy names any more still means the addresses that it has.
  const ranges = /^RW-(?:peers|dns)/.test(set) ? meanings.rangesOf(set) : undefined;
  return ranges !== undefined && setPeer(draft, { kind: 'ranges', family, ranges: mergeRanges(ranges) });
};

const takeNotSet: Take = (draft, words, place) => {
  const [set = '', side] = words.splice(0, 2);
  const [, kind = ''] = /^RW-(lan|nonpublic|owned)([46])$/.exec(set) ?? [];
  const own = sideOf(place);
  draft.not.add(kind);
  return kind !== '' && set.endsWith(String(place.family)) && side === (kind === 'owned' ? `${own},${own}` : own);
};

const takeProtocol: Take = (draft, words, { meanings }) => {
  const word = words.shift() ?? '';
  const protocol = protocolNumber(word) ?? meanings.protocolOf(word);
  if (protocol !== undefined) draft.protocol = protocol;
  return protocol !== undefined;
};

const takePorts: Take = (draft, words) => {
  const texts = (words.shift() ?? '').split(',');
  const isFirst = draft.ports === undefined;
  draft.ports = texts.map((text) => {
    const [first = '', last = first] = text.split(':');
    return { first: Number(first), last: Number(last) };
  });
  return isFirst && texts.every((text) => /^\d+(?::\d+)?$/.test(text));
};

const takeType: Take = (draft, words) => {
  const word = words.shift() ?? '';
  draft.icmpType = Number(word);
  return /^\d+$/.test(word);
};

const UNITS: ReadonlyMap<string, RateLimit['per']> = new Map(
  (['second', 'minute', 'hour', 'day'] as const).flatMap((unit) => [
    [unit, unit],
    // As iptables-save prints it.
    [unit.slice(0, 3), unit],
  ]),
);

const takeRate: Take = (draft, words) => {
  const [flows = '', unit = ''] = (words.shift() ?? '').split('/');
  const per = UNITS.get(unit);
  if (per === undefined || !/^\d+$/.test(flows) || draft.limit !== undefined) return false;
  draft.limit = { flows: Number(flows), per, burst: 5 };
  return true;
};

/** Those of a log are no limits of a policy. */
const takeBurst: Take = (draft, words) => {
  const word = words.shift() ?? '';
  if (draft.limit !== undefined) draft.limit = { ...draft.limit, burst: Number(word) };
  return /^\d+$/.test(word);
};

/** It comes behind rate and burst. */
const takeTable: Take = (draft, words, { meanings }) => {
  const table = words.shift() ?? '';
  if (draft.limit !== undefined) draft.limit = meanings.limitOf(table, draft.limit);
  return table !== '';
};

/** The last moment that the time match knows; printed as the end of whatever has only a beginning. */
export const LAST_MOMENT = 2_147_483_647;

const secondsOf = (word = ''): number => Date.parse(`${word}Z`) / 1000;

/** The last second belongs to it. */
const takeStop: Take = (draft, words) => {
  const last = secondsOf(words.shift());
  if (last !== LAST_MOMENT || draft.since === undefined) draft.untils.push(last + 1);
  return !Number.isNaN(last);
};

const takeStart: Take = (draft, words) => {
  const isFirst = draft.since === undefined;
  draft.since = secondsOf(words.shift());
  return isFirst && !Number.isNaN(draft.since);
};

const takeOrigin: Take = (draft, words) => {
  const [, file, line] = /^(.*):(\d+)$/.exec(words.shift() ?? '') ?? [];
  draft.origin = file === undefined ? null : { file, line: Number(line) };
  return true;
};

const TARGETS: ReadonlyMap<string, ListedRule['meant']> = new Map<string, ListedRule['meant']>([
  ['RETURN', 'allow'],
  ['LOG', 'log'],
  ['NFLOG', 'log'],
]);

const takeJump: Take = (draft, words) => {
  const meant = TARGETS.get(words.shift() ?? '');
  if (meant !== undefined) draft.meant = meant;
  return meant !== undefined;
};

const REFUSALS: ReadonlyMap<string, ListedRule['meant']> = new Map<string, ListedRule['meant']>([
  ['DROP', 'drop'],
  ['REJECT', 'reject'],
  ['OBSERVE', 'observe'],
]);

/** Behind a jump the chain would go on. */
const takeGoto: Take = (draft, words, { direction }) => {
  const [, letter, word = ''] = /^RW-([EI])-(\w+)$/.exec(words.shift() ?? '') ?? [];
  const meant = REFUSALS.get(word);
  if (meant !== undefined) draft.meant = meant;
  return meant !== undefined && letter === (direction === 'egress' ? 'E' : 'I');
};

/** Those whose options are below: another may be a condition without any. */
const MODULES = /^(?:comment|set|addrtype|iprange|tcp|udp|sctp|multiport|icmp6?|time|hashlimit)$/;

const OPTIONS: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['-m', (_, words) => MODULES.test(words.shift() ?? '')],
  ['-s', takeRange('src')],
  ['-d', takeRange('dst')],
  ['--src-range', takeRange('src')],
  ['--dst-range', takeRange('dst')],
  ['--src-type', takeLocal('src', (draft) => setPeer(draft, { kind: 'host' }))],
  ['--dst-type', takeLocal('dst', (draft) => setPeer(draft, { kind: 'host' }))],
  ['--match-set', takeSet],
  ['-p', takeProtocol],
  ['--dport', takePorts],
  ['--dports', takePorts],
  ['--icmp-type', takeType],
  ['--icmpv6-type', takeType],
  ['--datestop', takeStop],
  ['--datestart', takeStart],
  ['--hashlimit-above', takeRate],
  ['--hashlimit-burst', takeBurst],
  ['--hashlimit-name', takeTable],
  [
    '--hashlimit-upto',
    (draft, words) => {
      draft.isBelow = true;
      return words.shift() !== undefined;
    },
  ],
  ['--comment', takeOrigin],
  ['-j', takeJump],
  ['-g', takeGoto],
  ...['--hashlimit-htable-expire', '--nflog-group', '--nflog-prefix', '--log-prefix', '--log-level'].map(
    (option): [string, Take] => [option, skip],
  ),
]);

const notLocal = (draft: Draft): boolean => draft.not.size < draft.not.add('local').size;

const NEGATED: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['--match-set', takeNotSet],
  ['--src-type', takeLocal('src', notLocal)],
  ['--dst-type', takeLocal('dst', notLocal)],
]);
