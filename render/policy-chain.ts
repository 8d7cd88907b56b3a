/** A compiled policy chain as nft rules and the named sets that they refer to. */
import type { Family } from './address.ts';
import { hashOf, portMatches, rangeMatches, type Sets } from './alternatives.ts';
import type { HostState } from './desired.ts';
import type { DnsName } from './dns-name.ts';
import { dnsSetName } from './dns-sets.ts';
import { commentText, logPrefixText, setName } from './names.ts';
import type { Direction, Origin, PeerMatch, PolicyChain, RateLimit, Rule, ServiceMatch, Verdict } from './rule.ts';
import type { NftSet } from './ruleset.ts';

export interface RenderedChain {
  readonly rules: readonly string[];
  /** Content-addressed, so that chains share them. */
  readonly sets: ReadonlyMap<string, NftSet>;
  /** Names for which rules refer to sets; the elements are not part of the chain. */
  readonly dnsNames: readonly DnsName[];
}

const L3 = { 4: 'ip', 6: 'ip6' } as const;
const NFPROTO = { 4: 'meta nfproto ipv4', 6: 'meta nfproto ipv6' } as const;
const PORTED = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

/** What of the host a chain's rules depend on, besides the chain. */
export interface ChainHost {
  readonly log: HostState['log'];
  /** Whether containers hang on bridges. */
  readonly hasBridges: boolean;
}

export function renderPolicyChain(chain: PolicyChain, { log, hasBridges }: ChainHost): RenderedChain {
  const sets: Sets = new Map();
  const rules: string[] = [
    // What no policy can allow comes first: unsolicited ICMP errors, and from a container what only routers say.
    chain.direction === 'egress' ? 'jump never' : 'jump orphans',
    ...chain.rules.flatMap((rule) => renderRule(rule, { chain, log, hasBridges, sets })),
    ...renderDefault(chain, log, sets),
  ];
  return { rules, sets, dnsNames: dnsNamesOf(chain) };
}

const namesByChain = new WeakMap<PolicyChain, readonly DnsName[]>();
const NO_NAMES: readonly DnsName[] = [];

/** Each name once. */
export function dnsNamesOf(chain: PolicyChain): readonly DnsName[] {
  const known = namesByChain.get(chain);
  if (known !== undefined) return known;
  const names = new Set(chain.rules.flatMap(({ peer }) => (peer.kind === 'dns' ? [peer.name] : [])));
  const list = names.size === 0 ? NO_NAMES : [...names];
  namesByChain.set(chain, list);
  return list;
}

interface RulePlace extends ChainHost {
  readonly chain: PolicyChain;
  readonly sets: Sets;
}

function renderRule(rule: Rule, place: RulePlace): string[] {
  const { chain, log, sets } = place;
  const comment = commentOf(rule.origin);
  const { limit, action } = rule;
  return matches(rule, place).flatMap((match) => [
    ...(rule.log || action === 'log' ? [join(match, logStatement(chain, rule.origin, log, sets), comment)] : []),
    // What is too much is refused here: it must not fall through to a later rule that allows it.
    ...(limit === undefined ? [] : decide(chain, 'drop', match, rule.origin, limitStatement(limit, chain, sets))),
    ...(action === 'log' ? [] : decide(chain, action, match, rule.origin)),
  ]);
}

function renderDefault(chain: PolicyChain, log: HostState['log'], sets: Sets): string[] {
  const { verdict, origin } = chain.default;
  const comment = origin === null ? '' : commentOf(origin);
  return [
    ...(chain.default.log ? [join(logStatement(chain, origin, log, sets), comment)] : []),
    ...decide(chain, verdict, '', origin),
  ];
}

/**
 * While a chain observes, each refusal has a rule in front of it, which the kernel ends on time; times exclude each
 * other, since a packet must not count twice for a limit:
 *
 *     tcp dport 25 meta time < 1801353600 goto egress_observe
 *     tcp dport 25 meta time >= 1801353600 goto egress_drop
 */
function decide(
  { direction, observe }: PolicyChain,
  verdict: Verdict,
  match: string,
  origin: Origin | null,
  limit = '',
): string[] {
  const comment = origin === null ? '' : commentOf(origin);
  const statement = verdictStatement(verdict, direction);
  if (verdict === 'allow' || observe === undefined) return [join(match, limit, statement, comment)];
  const { until } = observe;
  return [
    join(match, `meta time < ${until}`, limit, `goto ${direction}_observe`, commentOf(observe.origin)),
    join(match, `meta time >= ${until}`, limit, statement, comment),
  ];
}

/** An accept ends one base chain: a forwarded packet of egress meets its receiver's next. */
function verdictStatement(verdict: Verdict, direction: Direction): string {
  if (verdict === 'allow') return 'accept';
  return `goto ${direction}_${verdict}`;
}

/**
 * All that one container logs counts together: `limit name "log_…" log prefix "web egress web.yaml:12 " group 5`
 */
function logStatement({ owner, direction }: PolicyChain, origin: Origin | null, log: HostState['log'], sets: Sets) {
  // Of what is too long for a prefix, the line must stay.
  const place = origin === null ? 'default' : placeOf(origin).slice(-100);
  const name = (owner?.container ?? '').slice(0, 126 - `  ${direction} ${place}`.length);
  const prefix = logPrefixText(`${name} ${direction} ${place}`);
  const target = log.group === 'kernel' ? 'level info' : `group ${log.group}`;
  const limit = namedLimit('log', [owner?.id ?? ''], `rate ${log.rate}`, sets);
  return `${limit} log prefix "${prefix} " ${target}`;
}

/** Matches what is too much. A named limit keeps its count when the chain around it is written anew. */
function limitStatement({ shared, flows, per, burst }: RateLimit, chain: PolicyChain, sets: Sets): string {
  const { owner, direction } = chain;
  const rate = `rate over ${flows}/${per} burst ${burst} packets`;
  return namedLimit('limit', [owner?.id ?? '', owner?.nic ?? '', direction, shared], rate, sets);
}

function namedLimit(kind: 'limit' | 'log', counted: readonly string[], rate: string, sets: Sets): string {
  const name = setName(kind, hashOf(JSON.stringify([...counted, rate])));
  sets.set(name, { kind: 'limit', spec: `${rate};`, dynamic: false, elements: new Map() });
  return `limit name "${name}"`;
}

const placeOf = ({ file, line }: Origin): string => `${file}:${line}`;

const commentOf = (origin: Origin): string => `comment "${commentText(placeOf(origin).slice(-128))}"`;

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' ');

/** The alternatives of a rule, each an nft match; none where the rule can match nothing. */
function matches(rule: Rule, place: RulePlace): string[] {
  const services = serviceMatches(rule.service, place.sets);
  // A port is one comparison, a peer lookups in sets and in the routes: the service comes first.
  // The kernel ends the rule on time, whether the daemon lives or not. Seconds, since dates mean the reader's zone.
  const until = rule.until === undefined ? '' : `meta time < ${rule.until}`;
  return familiesOf(rule).flatMap((family) =>
    peerMatches(rule, family, place).flatMap((peer) =>
      services.map((service) => join(needsNfproto(rule, family) ? NFPROTO[family ?? 4] : '', service, peer, until)),
    ),
  );
}

/** The families that need a rule each; `undefined` where one rule serves both. */
function familiesOf(rule: Rule): readonly (Family | undefined)[] {
  const fixed = rule.family ?? (rule.service.kind === 'icmp' ? rule.service.family : undefined);
  if (rule.peer.kind === 'ranges') return fixed === undefined || fixed === rule.peer.family ? [rule.peer.family] : [];
  if (fixed !== undefined) return [fixed];
  return isNamedBySets(rule.peer) ? [4, 6] : [undefined];
}

/** There is a set for each family. */
const isNamedBySets = ({ kind }: PeerMatch): boolean => kind === 'lan' || kind === 'internet' || kind === 'dns';

/** `ip daddr` and `icmp type` imply their family; a bare protocol doesn't. */
function needsNfproto(rule: Rule, family: Family | undefined): boolean {
  if (family === undefined || rule.peer.kind === 'ranges' || isNamedBySets(rule.peer)) return false;
  return !(rule.service.kind === 'icmp' && rule.service.type !== undefined);
}

function peerMatches(
  rule: Rule,
  family: Family | undefined,
  { chain, hasBridges, sets }: RulePlace,
): readonly string[] {
  const { direction } = chain;
  const side = direction === 'egress' ? 'daddr' : 'saddr';
  const address = `${L3[family ?? 4]} ${side}`;
  switch (rule.peer.kind) {
    case 'any':
      return [''];
    case 'host':
      // A forwarded IPv6 packet may carry one of our own addresses as its source: only what has no input
      // interface comes from this host itself.
      return [direction === 'egress' ? 'fib daddr type local' : 'iif 0 fib saddr type local'];
    case 'lan':
      return [`${address} @lan${family ?? 4}`];
    case 'internet':
      return [internetMatch(address, { direction, family: family ?? 4, hasBridges })];
    case 'dns':
      // Never the host, be an address its own by a local route alone: whoever has the name chooses the addresses.
      return [
        join(
          `${address} @${dnsSetName(rule.peer.name, family ?? 4)}`,
          direction === 'egress' ? 'fib daddr type != local' : '',
        ),
      ];
    case 'ranges':
      return rangeMatches(address, rule.peer.ranges, rule.peer.family, sets);
  }
}

/**
 * `ip daddr != @nonpublic4 ip daddr != @lan4 oifname != @veths ip daddr != @bridged_held4 fib daddr type != local`: a
 * bridge may be the uplink too, so that only their addresses tell the containers on it.
 */
function internetMatch(
  address: string,
  { direction, family, hasBridges }: Pick<ChainHost, 'hasBridges'> & { direction: Direction; family: Family },
): string {
  const [interfaceKey, side] = direction === 'egress' ? ['oifname', 'daddr'] : ['iifname', 'saddr'];
  return join(
    `${address} != @nonpublic${family} ${address} != @lan${family} ${interfaceKey} != @veths`,
    hasBridges ? `${address} != @bridged_held${family}` : '',
    `fib ${side} type != local`,
  );
}

function serviceMatches(service: ServiceMatch, sets: Sets): string[] {
  switch (service.kind) {
    case 'any':
      return [''];
    case 'protocol':
      return [`meta l4proto ${service.protocol}`];
    case 'ports':
      return portMatches(service.ports, sets).map((ports) => `${PORTED[service.protocol]} dport ${ports}`);
    case 'icmp': {
      const keyword = service.family === 4 ? 'icmp' : 'icmpv6';
      if (service.type !== undefined) return [`${keyword} type ${service.type}`];
      return [`meta l4proto ${service.family === 4 ? 1 : 58}`];
    }
  }
}
