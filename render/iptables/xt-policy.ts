/** A compiled policy chain as rules of iptables or ip6tables, and the sets that they refer to. */
import { createHash } from 'node:crypto';
import { type AddressRange, type Family, formatRange } from '../address.ts';
import type { HostState } from '../desired.ts';
import type { DnsName } from '../dns-name.ts';
import { commentText } from '../names.ts';
import type { Direction, Origin, PeerMatch, PolicyChain, PortRange, Rule, ServiceMatch, Verdict } from '../rule.ts';
import { logTarget, overLimit, uncountable } from './xt-limits.ts';
import { dnsSetName, hashOf, LAN_SET, NON_PUBLIC_SET, OWNED_SET, peersSetName } from './xt-names.ts';
import type { XtSet } from './xt-ruleset.ts';
import { netElements, netSet } from './xt-sets.ts';

export interface XtPolicyChain {
  readonly rules: readonly string[];
  /** Content-addressed. */
  readonly sets: ReadonlyMap<string, XtSet>;
}

/** More alternatives than this become a set. */
const UNROLLED = 4;
/** So many ports one multiport match takes; a range counts twice. */
const MULTIPORT = 15;
/** The last moment that the time match knows. */
const LAST_MOMENT = 2_147_483_647;

type Sets = Map<string, XtSet>;

interface Place {
  readonly chain: PolicyChain;
  readonly family: Family;
  readonly log: HostState['log'];
  readonly sets: Sets;
}

export function renderXtPolicy(chain: PolicyChain, family: Family, log: HostState['log']): XtPolicyChain {
  const place: Place = { chain, family, log, sets: new Map() };
  const rules = [
    chain.direction === 'egress' ? '-j RW-NEVER' : '-j RW-ORPHANS',
    ...chain.rules.flatMap((rule) => renderRule(rule, place)),
    ...renderDefault(place),
  ];
  return { rules, sets: place.sets };
}

/** The first rule that iptables can't say; `undefined`: it can say all of them. */
export function unsayableRule(chain: PolicyChain): { readonly origin: Origin; readonly why: string } | undefined {
  for (const { service, origin, limit } of chain.rules) {
    if (service.kind === 'protocol' && service.protocol === 0)
      return { origin, why: 'to iptables, protocol 0 means every protocol' };
    if (service.kind === 'icmp' && service.family === 4 && service.type === 255)
      return { origin, why: 'to iptables, ICMP type 255 means every type' };
    const why = limit && uncountable(limit);
    if (why !== undefined) return { origin, why };
  }
  return undefined;
}

function renderRule(rule: Rule, place: Place): string[] {
  const { action, limit, origin } = rule;
  const tooMuch = limit && overLimit(place.chain, limit);
  return matches(rule, place).flatMap((match) => [
    ...(rule.log || action === 'log'
      ? [join(match, logTarget(place.chain, origin, place.log), commentOf(origin))]
      : []),
    // What is too much is refused here: it must not fall through to a later rule that allows it.
    ...(tooMuch === undefined ? [] : decide(place, 'drop', match, origin, tooMuch)),
    ...(action === 'log' ? [] : decide(place, action, match, origin)),
  ]);
}

function renderDefault(place: Place): string[] {
  const { verdict, origin, log } = place.chain.default;
  return [
    ...(log ? [join(logTarget(place.chain, origin, place.log), commentOf(origin))] : []),
    ...decide(place, verdict, '', origin),
  ];
}

/** While a chain observes, each refusal has a rule in front of it, which the kernel ends on time. */
function decide({ chain }: Place, verdict: Verdict, match: string, origin: Origin | null, limit = ''): string[] {
  const comment = commentOf(origin);
  const { direction, observe } = chain;
  if (verdict === 'allow') return [join(match, limit, comment, '-j RETURN')];
  const target = `-g ${refusalChain(direction, verdict)}`;
  if (observe === undefined) return [join(match, limit, comment, target)];
  return [
    join(match, before(observe.until), limit, commentOf(observe.origin), `-g ${refusalChain(direction, 'observe')}`),
    join(match, notBefore(observe.until), limit, comment, target),
  ];
}

/** `RW-E-DROP`, `RW-I-REJECT`, `RW-E-OBSERVE` */
export const refusalChain = (direction: Direction, verdict: 'drop' | 'reject' | 'observe'): string =>
  `RW-${direction === 'egress' ? 'E' : 'I'}-${verdict.toUpperCase()}`;

/** The last second belongs to it; UTC, since nothing else is said. */
const before = (until: number): string => `-m time --datestop ${moment(until - 1)}`;
const notBefore = (until: number): string => `-m time --datestart ${moment(until)}`;
const moment = (seconds: number): string =>
  new Date(Math.min(seconds, LAST_MOMENT) * 1000).toISOString().slice(0, '2026-01-01T00:00:00'.length);

const commentOf = (origin: Origin | null): string =>
  origin === null ? '' : `-m comment --comment "${commentText(`${origin.file}:${origin.line}`.slice(-128))}"`;

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' ');

/** The alternatives of a rule; none where it matches nothing of this family. */
function matches(rule: Rule, place: Place): string[] {
  const { family } = place;
  if (rule.family !== undefined && rule.family !== family) return [];
  if (rule.service.kind === 'icmp' && rule.service.family !== family) return [];
  const until = rule.until === undefined ? '' : before(rule.until);
  return serviceMatches(rule.service).flatMap((service) =>
    peerMatches(rule.peer, place).map((peer) => join(service, peer, until)),
  );
}

function peerMatches(peer: PeerMatch, { chain: { direction }, family, sets }: Place): string[] {
  const [side, option] = direction === 'egress' ? (['dst', '-d'] as const) : (['src', '-s'] as const);
  switch (peer.kind) {
    case 'any':
      return [''];
    case 'host':
      // A forwarded packet that names one of our addresses as its source never gets here: see RW-FORWARD-TO.
      return [`-m addrtype --${side}-type LOCAL`];
    case 'lan':
      return [inSet(LAN_SET[family], side)];
    case 'internet':
      return [
        join(
          notInSet(NON_PUBLIC_SET[family], side),
          notInSet(LAN_SET[family], side),
          notInSet(OWNED_SET[family], `${side},${side}`),
          `-m addrtype ! --${side}-type LOCAL`,
        ),
      ];
    case 'dns':
      // Never the host, be an address its own by a local route alone: whoever has the name chooses the addresses.
      return [
        join(
          inSet(dnsSetOf(peer.name, family), side),
          direction === 'egress' ? `-m addrtype ! --${side}-type LOCAL` : '',
        ),
      ];
    case 'ranges':
      return peer.family === family ? rangeMatches(peer.ranges, { family, side, option, sets }) : [];
  }
}

const inSet = (name: string, side: string): string => `-m set --match-set ${name} ${side}`;
const notInSet = (name: string, side: string): string => `-m set ! --match-set ${name} ${side}`;

export const dnsSetOf = (name: DnsName, family: Family): string =>
  dnsSetName(family, createHash('sha256').update(name).digest('hex').slice(0, 16));

function rangeMatches(
  ranges: readonly AddressRange[],
  { family, side, option, sets }: { family: Family; side: 'dst' | 'src'; option: '-d' | '-s'; sets: Sets },
): string[] {
  if (ranges.length > UNROLLED) {
    const elements = netElements(family, ranges);
    const name = peersSetName(family, hashOf(elements.join(' ')));
    sets.set(name, netSet(family, elements));
    return [inSet(name, side)];
  }
  return ranges.map((range) => {
    const text = formatRange(range);
    return text.includes('-') ? `-m iprange --${side}-range ${text}` : `${option} ${text}`;
  });
}

const PORTED = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

function serviceMatches(service: ServiceMatch): string[] {
  switch (service.kind) {
    case 'any':
      return [''];
    case 'protocol':
      return [`-p ${service.protocol}`];
    case 'ports':
      return chunks(service.ports).map((ports) => portMatch(PORTED[service.protocol], ports));
    case 'icmp': {
      const [protocol, match] =
        service.family === 4 ? ['icmp', 'icmp --icmp-type'] : ['ipv6-icmp', 'icmp6 --icmpv6-type'];
      return [service.type === undefined ? `-p ${protocol}` : `-p ${protocol} -m ${match} ${service.type}`];
    }
  }
}

function portMatch(protocol: string, ports: readonly PortRange[]): string {
  const texts = ports.map(({ first, last }) => (first === last ? String(first) : `${first}:${last}`));
  const [only] = texts;
  return texts.length === 1
    ? `-p ${protocol} -m ${protocol} --dport ${only}`
    : `-p ${protocol} -m multiport --dports ${texts.join(',')}`;
}

function chunks(ports: readonly PortRange[]): PortRange[][] {
  const found: PortRange[][] = [];
  let room = 0;
  for (const port of ports) {
    const size = port.first === port.last ? 1 : 2;
    if (room < size) {
      found.push([]);
      room = MULTIPORT;
    }
    found.at(-1)?.push(port);
    room -= size;
  }
  return found;
}
