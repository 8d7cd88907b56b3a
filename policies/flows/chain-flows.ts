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
import { wholeFamily } from './address-ranges.ts';
import {
  type FlowTable,
  mapLabels,
  overlayStretches,
  type Row,
  RowPool,
  type Segment,
  StretchBuilder,
  type Stretches,
  type StretchesOf,
} from './flow-table.ts';
import { type HostAddresses, rangesOfPeer } from './peer-addresses.ts';
import { LINE, spansOfService } from './service-line.ts';
import { intersectSpans, type Span, subtractSpans } from './spans.ts';
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
  const table = {
    4: flowsOfFamily(chain, 4, addresses, decisions),
    6: flowsOfFamily(chain, 6, addresses, decisions),
  };
  return chain.observe === undefined ? table : mapLabels(table, createObserver(chain.observe));
}

interface Decisions {
  readonly reached: (rule: Rule) => void;
  readonly default: Decision;
  /** `later`: what the flow meets when the rule has ended, where it ends. */
  readonly by: (rule: Rule, action: Verdict, later?: Decision) => Decision;
}

function createDecisions({ default: { verdict, origin } }: PolicyChain, reached: Decisions['reached']): Decisions {
  const known = new Map<Rule, Map<Decision | undefined, Decision>>();
  const by: Decisions['by'] = (rule, action, later) => {
    const ofRule = known.get(rule) ?? new Map<Decision | undefined, Decision>();
    known.set(rule, ofRule);
    const decision = ofRule.get(later) ?? decide(rule, action, later);
    ofRule.set(later, decision);
    return decision;
  };
  return { reached, default: { verdict, rule: null, origin }, by };
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

function flowsOfFamily(
  chain: PolicyChain,
  family: Family,
  addresses: HostAddresses,
  decisions: Decisions,
): Stretches<Decision> {
  const { painters, peers } = paintersOf(chain, family, addresses);
  const pool = new RowPool<Decision>();
  const builder = new StretchBuilder<Row<Decision>>();
  const rows = new Map<bigint, Row<Decision>>();
  const cuts = cutAddresses(peers, family);
  for (const [index, here] of cuts.rows.entries()) {
    const row = rows.get(here) ?? pool.intern(paintRow(painters, here, family, decisions));
    rows.set(here, row);
    builder.add(cuts.starts[index] ?? 0n, row);
  }
  return builder;
}

interface FamilyRules {
  readonly painters: readonly Painter[];
  /** The ranges behind each bit, lowest bit first. */
  readonly peers: readonly (readonly AddressRange[])[];
}

function paintersOf({ rules }: PolicyChain, family: Family, addresses: HostAddresses): FamilyRules {
  const bits = new Map<readonly AddressRange[], bigint>();
  const painters = rules.flatMap((rule): Painter[] => {
    if (rule.family !== undefined && rule.family !== family) return [];
    const spans = spansOfService(rule.service, family);
    const peer = peerBit(rule.peer, family, addresses, bits);
    return spans.length === 0 || peer === undefined ? [] : [{ rule, spans, peer }];
  });
  return { painters, peers: [...bits.keys()] };
}

/** `undefined` for a peer that matches nothing. */
function peerBit(
  peer: PeerMatch,
  family: Family,
  addresses: HostAddresses,
  bits: Map<readonly AddressRange[], bigint>,
): bigint | undefined {
  if (peer.kind === 'any') return 0n;
  const ranges = rangesOfPeer(peer, family, addresses);
  if (ranges.length === 0) return undefined;
  const bit = bits.get(ranges) ?? 1n << BigInt(bits.size);
  bits.set(ranges, bit);
  return bit;
}

/** Where the set of peers changes, with the peers from there on as bits. `peers`: sorted lists. */
function cutAddresses(peers: readonly (readonly AddressRange[])[], family: Family): StretchesOf<bigint> {
  const cut = (from: number, to: number): StretchesOf<bigint> => {
    if (to - from <= 1) return cutByList(peers[from] ?? [], 1n << BigInt(from), family);
    const middle = (from + to) >> 1;
    const builder = new StretchBuilder<bigint>();
    overlayStretches(cut(from, middle), cut(middle, to), (start, a, b) => builder.add(start, a | b));
    return builder;
  };
  return cut(0, peers.length);
}

function cutByList(ranges: readonly AddressRange[], bit: bigint, family: Family): StretchesOf<bigint> {
  const builder = new StretchBuilder<bigint>();
  if (ranges[0]?.first !== 0n) builder.add(0n, 0n);
  const end = wholeFamily(family).last;
  for (const [index, { first, last }] of ranges.entries()) {
    builder.add(first, bit);
    const next = last + 1n;
    if (last < end && ranges[index + 1]?.first !== next) builder.add(next, 0n);
  }
  return builder;
}

function paintRow(
  painters: readonly Painter[],
  here: bigint,
  family: Family,
  decisions: Decisions,
): Segment<Decision>[] {
  const present = painters.filter(({ peer }) => peer === 0n || (here & peer) !== 0n);
  return paint(present, LINE[family], decisions).sort((a, b) => a.first - b.first);
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
