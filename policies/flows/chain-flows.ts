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
import { type FlowTable, type Row, RowPool, type Segment, StretchBuilder, type Stretches } from './flow-table.ts';
import { type HostAddresses, rangesOfPeer } from './peer-addresses.ts';
import { LINE, spansOfService } from './service-line.ts';
import { intersectSpans, type Span, subtractSpans } from './spans.ts';

/** What becomes of a flow, and by which rule; one object for each rule of a chain. */
export interface Decision {
  readonly verdict: Verdict;
  /** `null`: the chain's default. */
  readonly rule: Rule | null;
  readonly origin: Origin | null;
}

/** `reached`: is told each rule that some packet meets, `log` rules too. */
export function flowsOfChain(
  chain: PolicyChain,
  addresses: HostAddresses,
  reached: (rule: Rule) => void = () => undefined,
): FlowTable<Decision> {
  const { verdict, origin } = chain.default;
  const decisions: Decisions = {
    default: observed(chain, { verdict, rule: null, origin }),
    ofRule: new Map(),
    of: (rule, action) => observed(chain, { verdict: action, rule, origin: rule.origin }),
  };
  return {
    4: flowsOfFamily(chain, 4, addresses, decisions, reached),
    6: flowsOfFamily(chain, 6, addresses, decisions, reached),
  };
}

interface Decisions {
  readonly default: Decision;
  readonly ofRule: Map<Rule, Decision>;
  readonly of: (rule: Rule, action: Verdict) => Decision;
}

/** What a chain that observes refuses passes, because of the line that says so. */
const observed = ({ observe }: PolicyChain, decision: Decision): Decision =>
  observe === undefined || decision.verdict === 'allow'
    ? decision
    : { ...decision, verdict: 'allow', origin: observe.origin };

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
  reached: (rule: Rule) => void,
): Stretches<Decision> {
  const { painters, peers } = paintersOf(chain, family, addresses);
  const pool = new RowPool<Decision>();
  const builder = new StretchBuilder<Decision>();
  const rows = new Map<bigint, Row<Decision>>();
  for (const [start, here] of cutAddresses(peers, family)) {
    const row = rows.get(here) ?? pool.intern(paintRow(painters, here, family, decisions, reached));
    rows.set(here, row);
    builder.add(start, row);
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

/** Where the set of peers changes, from address 0 on: the address, and the peers from there on as bits. */
function* cutAddresses(peers: readonly (readonly AddressRange[])[], family: Family): Generator<[bigint, bigint]> {
  const edges = peers
    .flatMap((ranges, index) =>
      ranges.flatMap(({ first, last }) => [
        { at: first, index },
        { at: last + 1n, index },
      ]),
    )
    // Lists are sorted already, which makes this a merge.
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const next = nextPeers();
  let here = 0n;
  let start = 0n;
  for (const { at, index } of edges) {
    if (at !== start) {
      yield [start, here];
      start = at;
    }
    here = next(here, index);
  }
  if (start <= wholeFamily(family).last) yield [start, here];
}

/** Long lists cross the same few edges again and again: remembered, they cost a look-up each. */
function nextPeers(): (here: bigint, index: number) => bigint {
  const known = new Map<bigint, bigint[]>();
  return (here, index) => {
    const row = known.get(here) ?? [];
    known.set(here, row);
    const next = row[index] ?? here ^ (1n << BigInt(index));
    row[index] = next;
    return next;
  };
}

/** What the rules make of the line where these peers are: each takes what those before it left. */
function paintRow(
  painters: readonly Painter[],
  here: bigint,
  family: Family,
  { default: byDefault, ofRule, of }: Decisions,
  reached: (rule: Rule) => void,
): Segment<Decision>[] {
  const segments: Segment<Decision>[] = [];
  let blank: readonly Span[] = LINE[family];
  for (const { rule, spans, peer } of painters) {
    if (peer !== 0n && (here & peer) === 0n) continue;
    const hit = intersectSpans(spans, blank);
    if (hit.length === 0) continue;
    reached(rule);
    if (rule.action === 'log') continue;
    const known = ofRule.get(rule);
    const label = known ?? of(rule, rule.action);
    if (known === undefined) ofRule.set(rule, label);
    for (const span of hit) segments.push({ ...span, label });
    blank = subtractSpans(blank, hit);
    if (blank.length === 0) break;
  }
  for (const span of blank) segments.push({ ...span, label: byDefault });
  return segments.sort((a, b) => a.first - b.first);
}
