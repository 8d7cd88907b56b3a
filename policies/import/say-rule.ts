/** One rule of another firewall in the words of a policy: the same meaning, or a narrower one and a finding. */
import { type Family, parseRange } from '../../render/address.ts';
import type { Direction } from '../../render/rule.ts';
import type { Place } from '../places.ts';
import type { Finding } from '../source-text.ts';

/** What a list of services or peers came to. */
export interface Said {
  /** Words of a policy; none and nothing lost: it matches nothing. */
  readonly words: readonly string[];
  readonly lost: readonly Lost[];
}

/** A part that no policy can say. */
export interface Lost {
  readonly what: string;
  /** A word that holds it, so that a refusal doesn't open; `null` where nothing of it ever passes anyway. */
  readonly wider: string | null;
}

export interface ForeignRule {
  readonly place: Place;
  readonly direction: Direction;
  readonly action: 'allow' | 'drop' | 'reject';
  readonly services: Said;
  readonly peers: Said;
  /** Conditions on the whole rule that no policy can say, such as `source ports`. */
  readonly unsaid: readonly string[];
  readonly log: boolean;
  readonly enabled: boolean;
  readonly comment: string | undefined;
}

/** A rule as it stands in a policy file. */
export type SaidRule = Readonly<Record<string, string | boolean | readonly string[]>>;

/**
 * What can't be said makes an allow narrower, down to nothing (a warning), and a refusal wider (an error): the imported
 * policy never allows what the other firewall refuses. `undefined`: nothing is left of the rule.
 */
export function sayRule(rule: ForeignRule, report: (finding: Finding) => void): SaidRule | undefined {
  // What is switched off refuses nothing, so that leaving it out opens nothing.
  const narrows = rule.action === 'allow' || !rule.enabled;
  const { services, peers } = narrows ? narrow(rule, report) : widen(rule, report);
  const fitting = {
    services: services.filter((word) => peers.some((peer) => meet(serviceFamilies(word), peerFamilies(peer)))),
    peers: peers.filter((peer) => services.some((word) => meet(serviceFamilies(word), peerFamilies(peer)))),
  };
  if (fitting.services.length === 0 || fitting.peers.length === 0) return undefined;
  return {
    [rule.action]: shorten(fitting.services),
    [rule.direction === 'egress' ? 'to' : 'from']: shorten(fitting.peers),
    ...(rule.log ? { log: true } : {}),
    ...(rule.enabled ? {} : { enabled: false }),
    ...(rule.comment === undefined ? {} : { comment: rule.comment }),
  };
}

interface Words {
  readonly services: readonly string[];
  readonly peers: readonly string[];
}

function narrow(rule: ForeignRule, report: (finding: Finding) => void): Words {
  const { services, peers, unsaid, place, enabled } = rule;
  const effect = enabled ? ', so it allows less' : ' (it is switched off)';
  if (unsaid.length > 0) {
    const message = `left out${effect}: no policy can say ${unsaid.join(' and ')}`;
    report({ ...place, message, severity: 'warning' });
    return { services: [], peers: [] };
  }
  for (const { what } of [...services.lost, ...peers.lost]) {
    report({ ...place, message: `without ${what}${effect}: no policy can say that`, severity: 'warning' });
  }
  return { services: services.words, peers: peers.words };
}

function widen({ services, peers, unsaid, place }: ForeignRule, report: (finding: Finding) => void): Words {
  const harmful = [...services.lost, ...peers.lost].filter(({ wider }) => wider !== null);
  for (const what of [...unsaid, ...harmful.map((lost) => lost.what)]) {
    report({ ...place, message: `it refuses more than it did: no policy can say ${what}` });
  }
  return { services: withWider(services), peers: withWider(peers) };
}

function withWider({ words, lost }: Said): string[] {
  const all = new Set([...words, ...lost.flatMap(({ wider }) => wider ?? [])]);
  return all.has('any') ? ['any'] : [...all];
}

const shorten = (words: readonly string[]): string | readonly string[] => {
  const unique = [...new Set(words)];
  return unique.length === 1 && unique[0] !== undefined ? unique[0] : unique;
};

/** A word that none of the others can go with would make the policy an error. */
const serviceFamilies = (word: string): readonly Family[] =>
  word.startsWith('icmp4') ? [4] : word.startsWith('icmp6') ? [6] : [4, 6];

function peerFamilies(word: string): readonly Family[] {
  const range = parseRange(word);
  return range === undefined ? [4, 6] : [range.family];
}

const meet = (a: readonly Family[], b: readonly Family[]): boolean => a.some((family) => b.includes(family));
