/** The fewest readable rules that allow what was seen. */
import { familyOf } from '../../render/address.ts';
import type { Direction } from '../../render/rule.ts';
import { catalogue } from '../catalogue.ts';
import { seenServiceWord, wordsOf } from '../seen-service.ts';
import type { ServiceTable } from '../service-table.ts';
import { groupBy, groupPairs, type Pair } from './group-pairs.ts';
import { namePeers, type PeerNames } from './name-peers.ts';
import type { LeftOut, Seen } from './seen.ts';

export interface ProposedRule {
  readonly direction: Direction;
  readonly services: readonly string[];
  readonly peers: readonly string[];
  readonly packets: number;
  /** Milliseconds since 1970. */
  readonly lastSeen: number;
  /** Where it allows more than was seen: why. */
  readonly wider: readonly string[];
}

export interface Proposal {
  readonly rules: readonly ProposedRule[];
  readonly leftOut: readonly LeftOut[];
}

export interface Knowledge {
  readonly names: PeerNames;
  readonly services: ServiceTable;
  /** Whether peers of a direction may stand for more than was seen. */
  readonly widen: (direction: Direction) => boolean;
}

/** Ports that stacks give to clients (Linux's own range). */
const EPHEMERAL = { first: 32_768, last: 60_999 } as const;

/** More of them become one range. */
const EPHEMERAL_LISTED = 8;

/** More ports than this of one peer are no services: they are left to people. */
const SCANNED = 32;

/** Of one NIC; both directions. */
export function proposeRules(seen: readonly Seen[], knowledge: Knowledge): Proposal {
  const scans = scannedPeers(seen);
  const leftOut: LeftOut[] = [];
  const kept: Seen[] = [];
  for (const one of seen) {
    const reason =
      reasonAgainst(one, knowledge.names) ??
      (scans.has(pairOf(one)) ? `one of more than ${SCANNED} ports: a scan` : null);
    if (reason === null) kept.push(one);
    else leftOut.push({ seen: one, reason });
  }
  const rules = (['egress', 'ingress'] as const).flatMap((direction) => {
    const own = kept.filter((one) => one.direction === direction);
    return rulesOf(direction, own, knowledge);
  });
  return { rules, leftOut };
}

function reasonAgainst({ peer, protocol, port }: Seen, { isHost }: PeerNames): string | undefined {
  if (/^(ff|22[4-9]\.|23\d\.|255\.)/.test(peer)) return 'multicast or broadcast: talk of the link, not a service';
  // The host speaks from its gateway addresses, which are of that kind.
  if (/^(fe[89ab]|169\.254\.)/.test(peer) && !isHost(peer)) return 'link-local: talk of the link, not a service';
  const isOther = protocol === (familyOf(peer) === 4 ? 58 : 1);
  if (isOther) return 'ICMP of the other family';
  // Late answers come to the ports that their questions came from.
  if (protocol === 17 && isEphemeral(port)) return 'UDP to a port of clients: most likely a late answer';
  return undefined;
}

const pairOf = ({ direction, peer, protocol }: Seen): string => `${direction} ${peer} ${protocol}`;

const isEphemeral = (port: number): boolean => port >= EPHEMERAL.first && port <= EPHEMERAL.last;

const hasPorts = ({ protocol }: Seen): boolean => protocol === 6 || protocol === 17 || protocol === 132;

function scannedPeers(seen: readonly Seen[]): ReadonlySet<string> {
  const ports = new Map<string, number>();
  for (const one of seen) {
    if (hasPorts(one) && !isEphemeral(one.port)) ports.set(pairOf(one), (ports.get(pairOf(one)) ?? 0) + 1);
  }
  return new Set([...ports].filter(([, count]) => count > SCANNED).map(([pair]) => pair));
}

/** By protocol: where there are many, the one range that holds them all. */
function ephemeralRanges(seen: readonly Seen[]): ReadonlyMap<number, string> {
  const ports = new Map<number, Set<number>>();
  for (const one of seen) {
    if (hasPorts(one) && isEphemeral(one.port))
      ports.set(one.protocol, (ports.get(one.protocol) ?? new Set()).add(one.port));
  }
  const range = `${EPHEMERAL.first}-${EPHEMERAL.last}`;
  const many = [...ports].filter(([, list]) => list.size > EPHEMERAL_LISTED);
  return new Map(many.map(([protocol]) => [protocol, `${protocol === 6 ? 'tcp' : 'sctp'}/${range}`]));
}

/** The peers tell the family already: one rule for `icmp4/echo-request` and `icmp6/echo-request`. */
const ofBothFamilies = (word: string): string => word.replace(/^icmp[46](?=\/echo-re(quest|ply)$)/, 'icmp');

/** What was seen of one service with one peer. */
interface SeenPair extends Pair {
  readonly seen: readonly Seen[];
  readonly wider: readonly string[];
}

function rulesOf(direction: Direction, seen: readonly Seen[], { names, services, widen }: Knowledge): ProposedRule[] {
  const isWide = widen(direction);
  return groupPairs(pairsOf(seen, names, isWide))
    .map((pairs) => {
      const named = nameServices(unique(pairs.map(({ service }) => service)), services, isWide);
      const all = pairs.flatMap((pair) => pair.seen);
      return {
        direction,
        services: named.services,
        peers: unique(pairs.map(({ peer }) => peer)),
        packets: all.reduce((sum, { packets }) => sum + packets, 0),
        lastSeen: all.reduce((latest, { lastSeen }) => Math.max(latest, lastSeen), 0),
        wider: [...unique(pairs.flatMap(({ wider }) => wider)), ...named.wider],
      };
    })
    .sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
}

const NEAREST_FIRST = [/^host$/, /^(container|group):/, /^set:/, /^lan$/, /./];

/** The same whatever was seen how often, so that what was proposed before can be compared. */
function orderKey({ peers, services }: Pick<ProposedRule, 'peers' | 'services'>): string {
  const [first = ''] = peers;
  return [NEAREST_FIRST.findIndex((pattern) => pattern.test(first)), services.join(), peers.join()].join('\n');
}

function pairsOf(seen: readonly Seen[], names: PeerNames, isWide: boolean): SeenPair[] {
  const ranges = isWide ? ephemeralRanges(seen) : new Map<number, string>();
  const rangeOf = (one: Seen): string | undefined =>
    hasPorts(one) && isEphemeral(one.port) ? ranges.get(one.protocol) : undefined;
  const byService = groupBy(
    seen,
    (one) => rangeOf(one) ?? ofBothFamilies(seenServiceWord({ ...one, family: familyOf(one.peer) })),
  );
  return [...byService].flatMap(([service, own]) => {
    const byAddress = groupBy(own, ({ peer }) => peer);
    const isRange = own.some((one) => rangeOf(one) !== undefined);
    const peers = own.map(({ peer }) => peer);
    return namePeers(peers, names, isWide).map(({ word, addresses, wider }) => ({
      service,
      peer: word,
      seen: addresses.flatMap((address) => byAddress.get(address) ?? []),
      wider: [
        ...(wider === undefined ? [] : [`${word}: ${wider}`]),
        ...(isRange ? [`${service}: ports of many connections`] : []),
      ],
    }));
  });
}

const unique = (words: readonly string[]): string[] => [...new Set(words)];

interface NamedServices {
  readonly services: readonly string[];
  /** Where a name stands for more than was seen: what. */
  readonly wider: readonly string[];
}

/**
 * A name where all that it stands for was seen, or, with `widen`, one of two: the same port of TCP and UDP (dns). Ports
 * without a name are one word for each protocol.
 */
export function nameServices(words: readonly string[], table: ServiceTable, widen: boolean): NamedServices {
  const rest = new Set(words);
  const named: string[] = [];
  const wider: string[] = [];
  const known = [...new Set([...table.ownNames, ...catalogue.keys()])]
    .map((name) => ({ name, stands: [...new Set(wordsOf(name, table).map(ofBothFamilies))] }))
    .filter(({ stands }) => stands.length > 0)
    // The name that says the most in one word.
    .sort((a, b) => b.stands.length - a.stands.length);
  const take = (name: string, stands: readonly string[]): void => {
    const missing = stands.filter((word) => !rest.has(word));
    if (missing.length > 0) wider.push(`${name}: ${missing.join(' and ')} too`);
    named.push(name);
    for (const word of stands) rest.delete(word);
  };
  for (const { name, stands } of known) if (stands.every((word) => rest.has(word))) take(name, stands);
  for (const { name, stands } of widen ? known.filter(isTwin) : []) {
    if (stands.some((word) => rest.has(word))) take(name, stands);
  }
  return { services: [...named.sort(), ...joinPorts([...rest])], wider };
}

const isTwin = ({ stands: [first = '', second = '', ...more] }: { readonly stands: readonly string[] }): boolean =>
  more.length === 0 && second !== '' && first.replace(/^tcp/, 'udp') === second;

function joinPorts(words: readonly string[]): string[] {
  const ports = new Map<string, number[]>();
  const others: string[] = [];
  for (const word of words) {
    const [, protocol, port] = /^(tcp|udp|sctp)\/(\d+)$/.exec(word) ?? [];
    if (protocol === undefined) others.push(word);
    else ports.set(protocol, [...(ports.get(protocol) ?? []), Number(port)]);
  }
  const joined = [...ports].map(([protocol, list]) => `${protocol}/${list.sort((a, b) => a - b).join(',')}`);
  return [...joined, ...others.sort()];
}
