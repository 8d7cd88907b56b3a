/**
 * A compiled chain as an exact table of flows: first match wins, so its rules cut all flows into parts, each decided by
 * one rule or by the default. Says of every packet what evaluateChain says (model.ts), for all packets at once.
 *
 *     const addresses = hostAddresses(...)              // facts of the host, made once
 *     const table = flowsOfChain(chain, addresses)      // FlowTable<Decision>
 *     labelAt(table, packet, peer)?.verdict             // one flow
 *     allowedBy(table)                                  // FlowSet: what passes; see flow-set.ts for its algebra
 *     compareChains(before, after, addresses)           // compare-chains.ts: what differs
 */
import type { AddressRange, Family } from '../../render/address.ts';
import type { Origin, PeerMatch, PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import { type FlowTable, overlayRows, RowPool, type Segment, StretchBuilder, type Stretches } from './flow-table.ts';
import { type HostAddresses, rangesOfPeer } from './peer-addresses.ts';
import { LINE, spansOfService } from './service-line.ts';
import { intersectSpans, type Span, subtractSpans } from './spans.ts';
import { sweepPeers } from './sweep-peers.ts';
import { sameNow, type Terms, termsAt } from './terms.ts';

/** What becomes of a flow, and by which rule; one object for each rule of a chain and what comes after its end. */
export interface Decision extends Terms {
  readonly end?: { readonly at: number; readonly next: Decision };
  /** `null`: the chain's default. */
  readonly rule: Rule | null;
  readonly origin: Origin | null;
}

/** `reached`: is told each rule that some packet meets, now or when rules before it have ended; `log` rules too. */
export function flowsOfChain(
  chain: PolicyChain,
  addresses: HostAddresses,
  reached: (rule: Rule) => void = () => undefined,
): FlowTable<Decision> {
  const decisions = createDecisions(chain, reached);
  const ofFamily = (family: Family): Stretches<Decision> => {
    const lists: PeerLists = new Map();
    return cutByPeers(lists, family, paintersOf(chain, family, addresses, lists, decisions));
  };
  return { 4: ofFamily(4), 6: ofFamily(6) };
}

/**
 * The table of both chains' decisions at each flow, combined, as `overlay` of their tables; but what is combined to the same
 * never becomes stretches of its own, of which a list of a hundred thousand has twice as many.
 */
export function overlayChains<C>(
  a: PolicyChain,
  b: PolicyChain,
  addresses: HostAddresses,
  combine: (a: Decision, b: Decision) => C,
): FlowTable<C> {
  const [decisionsA, decisionsB] = [createDecisions(a), createDecisions(b)];
  const ofFamily = (family: Family): Stretches<C> => {
    const lists: PeerLists = new Map();
    const rowOfA = paintersOf(a, family, addresses, lists, decisionsA);
    const rowOfB = paintersOf(b, family, addresses, lists, decisionsB);
    return cutByPeers(lists, family, (peers) => overlayRows(rowOfA(peers), rowOfB(peers), combine));
  };
  return { 4: ofFamily(4), 6: ofFamily(6) };
}

/** The ranges of peers that rules name, each with its bit in a set of peers. */
type PeerLists = Map<readonly AddressRange[], bigint>;

function cutByPeers<L>(
  lists: PeerLists,
  family: Family,
  rowOf: (peers: bigint) => readonly Segment<L>[],
): Stretches<L> {
  const pool = new RowPool<L>();
  const builder = new StretchBuilder<L>();
  sweepPeers(
    [...lists.keys()],
    family,
    (peers) => pool.intern(rowOf(peers)),
    (start, row) => builder.add(start, row),
  );
  return builder;
}

interface Decisions {
  readonly reached: (rule: Rule) => void;
  readonly default: Decision;
  /** What becomes of it while the chain observes. */
  readonly observed: (decision: Decision) => Decision;
  /** `later`: what the flow meets when the rule has ended, where it ends. */
  readonly by: (rule: Rule, action: Verdict, later?: Decision) => Decision;
}

function createDecisions(
  { default: { verdict, origin }, observe }: PolicyChain,
  reached: Decisions['reached'] = () => undefined,
): Decisions {
  const known = new Map<Rule, Map<Decision | undefined, Decision>>();
  const by: Decisions['by'] = (rule, action, later) => {
    const ofRule = known.get(rule) ?? new Map<Decision | undefined, Decision>();
    known.set(rule, ofRule);
    const decision = ofRule.get(later) ?? decide(rule, action, later);
    ofRule.set(later, decision);
    return decision;
  };
  const observed = observe === undefined ? (decision: Decision) => decision : createObserver(observe);
  return { reached, default: { verdict, rule: null, origin }, observed, by };
}

/** An end after which the flow is treated the same is none. */
function decide(rule: Rule, verdict: Verdict, later: Decision | undefined): Decision {
  const { limit, until, origin } = rule;
  const now = { verdict, rule, origin, ...(limit === undefined ? {} : { limit }) };
  if (later === undefined || until === undefined) return now;
  if (!sameNow(now, later)) return { ...now, end: { at: until, next: later } };
  return later.end === undefined ? now : { ...now, end: later.end };
}

/** While a chain observes, what it refuses passes, because of the line that says so; limits don't hold. */
function createObserver({ until, origin }: NonNullable<PolicyChain['observe']>): (enforced: Decision) => Decision {
  const known = new Map<Decision, Decision>();
  const observe = (enforced: Decision): Decision => {
    const refused = enforced.verdict !== 'allow';
    const now = { verdict: 'allow', rule: enforced.rule, origin: refused ? origin : enforced.origin } as const;
    const next = termsAt(enforced, until);
    if (!sameNow(now, next)) return { ...now, end: { at: until, next } };
    return next.end === undefined ? now : { ...now, end: next.end };
  };
  return (enforced) => {
    const decision = known.get(enforced) ?? observe(enforced);
    known.set(enforced, decision);
    return decision;
  };
}

/** A rule that packets of the family can match, with its part of the service line. */
interface Painter {
  readonly rule: Rule;
  readonly spans: readonly Span[];
  /** Bit of its peer in a stretch's set of peers; 0 matches everywhere. */
  readonly peer: bigint;
}

/** What the chain makes of each set of peers; the lists that it names are added to those. */
function paintersOf(
  { rules }: PolicyChain,
  family: Family,
  addresses: HostAddresses,
  lists: PeerLists,
  decisions: Decisions,
): (peers: bigint) => Segment<Decision>[] {
  const painters = rules.flatMap((rule): Painter[] => {
    if (rule.family !== undefined && rule.family !== family) return [];
    const spans = spansOfService(rule.service, family);
    const peer = peerBit(rule.peer, family, addresses, lists);
    return spans.length === 0 || peer === undefined ? [] : [{ rule, spans, peer }];
  });
  return (peers) => paintRow(painters, peers, family, decisions);
}

/** `undefined` for a peer that matches nothing. */
function peerBit(peer: PeerMatch, family: Family, addresses: HostAddresses, lists: PeerLists): bigint | undefined {
  if (peer.kind === 'any') return 0n;
  const ranges = rangesOfPeer(peer, family, addresses);
  if (ranges.length === 0) return undefined;
  const bit = lists.get(ranges) ?? 1n << BigInt(lists.size);
  lists.set(ranges, bit);
  return bit;
}

function paintRow(
  painters: readonly Painter[],
  here: bigint,
  family: Family,
  decisions: Decisions,
): Segment<Decision>[] {
  const present = painters.filter(({ peer }) => peer === 0n || (here & peer) !== 0n);
  return paint(present, LINE[family], decisions)
    .map(({ label, ...span }) => ({ ...span, label: decisions.observed(label) }))
    .sort((a, b) => a.first - b.first);
}

/** What the rules make of a part of the line: each takes what those before it left. */
function paint(painters: readonly Painter[], part: readonly Span[], decisions: Decisions): Segment<Decision>[] {
  const segments: Segment<Decision>[] = [];
  let blank = part;
  for (const [index, { rule, spans }] of painters.entries()) {
    const { action, until } = rule;
    const hit = intersectSpans(spans, blank);
    if (hit.length === 0) continue;
    decisions.reached(rule);
    if (action === 'log') continue;
    if (until === undefined) {
      const label = decisions.by(rule, action);
      for (const span of hit) segments.push({ ...span, label });
    } else {
      const left = painters.slice(index + 1).filter((later) => (later.rule.until ?? until + 1) > until);
      for (const { label, ...span } of paint(left, hit, decisions)) {
        segments.push({ ...span, label: decisions.by(rule, action, label) });
      }
    }
    blank = subtractSpans(blank, hit);
    if (blank.length === 0) break;
  }
  for (const span of blank) segments.push({ ...span, label: decisions.default });
  return segments;
}
