/** Finds one flow between two ends that is not decided as expected. Exact: where it finds none, there is none. */
import type { AddressRange, Family } from '../../render/address.ts';
import type { Direction, Verdict } from '../../render/rule.ts';
import { subtractRanges } from '../flows/address-ranges.ts';
import { rowsIn } from '../flows/flow-table.ts';
import { intersectSpans, type Span } from '../flows/spans.ts';
import { isAsExpected } from './expectation.ts';
import type { Position } from './find-exception.ts';
import type { End, World } from './world.ts';

/** All flows from some addresses to others, with some services (places of the service line). */
export interface FlowQuestion {
  readonly family: Family;
  readonly sources: readonly AddressRange[];
  readonly destinations: readonly AddressRange[];
  readonly services: readonly Span[];
  readonly expected: Verdict;
}

/** What one side's rules said. */
export interface Said {
  readonly direction: Direction;
  readonly verdict: Verdict;
  readonly position: Position;
}

export interface FoundFlow {
  readonly family: Family;
  readonly source: bigint;
  readonly destination: bigint;
  /** A place of the service line. */
  readonly service: number;
  readonly verdict: Verdict;
  readonly said: readonly Said[];
}

/** `nobody`: no container is at either end, so that no rule decides about any of it. */
export function findFlow(world: World, question: FlowQuestion): FoundFlow | 'nobody' | undefined {
  const { family, sources, destinations } = question;
  const receivers = world.endsIn(destinations, family, 'ingress');
  let isSomebody = false;
  for (const sender of world.endsIn(sources, family, 'egress')) {
    for (const receiver of receivers) {
      if (sender.chain === null && receiver.chain === null) continue;
      isSomebody = true;
      for (const { source, destination, ...found } of exceptionsBetween(world, sender, receiver, question)) {
        const pair = pickPair(world, family, source, destination);
        if (pair !== undefined) return { ...found, ...pair };
      }
    }
  }
  return isSomebody ? undefined : 'nobody';
}

interface FlowBetween extends Omit<FoundFlow, 'source' | 'destination'> {
  readonly source: AddressRange;
  readonly destination: AddressRange;
}

/** The sender is asked first; what it allows is the receiver's to decide. */
function* exceptionsBetween(
  world: World,
  sender: End,
  receiver: End,
  { family, services, expected }: FlowQuestion,
): Generator<FlowBetween> {
  const wide = expected !== 'allow';
  for (const out of piecesOf(world, sender, 'egress', { peers: receiver.ranges, services, family, wide })) {
    if (out.verdict !== 'allow' || receiver.chain === null) {
      if (isAsExpected(out.verdict, expected)) continue;
      const { verdict, said, service } = { ...out, service: out.span.first };
      for (const source of sender.ranges) yield { family, source, destination: out.peer, service, verdict, said };
      continue;
    }
    const asked = { peers: sender.ranges, services: [out.span], family, wide };
    for (const into of piecesOf(world, receiver, 'ingress', asked)) {
      if (isAsExpected(into.verdict, expected)) continue;
      const { verdict, span, peer: source } = into;
      const said = [...out.said, ...into.said];
      yield { family, source, destination: out.peer, service: span.first, verdict, said };
    }
  }
}

interface Piece {
  readonly peer: AddressRange;
  readonly span: Span;
  readonly verdict: Verdict;
  /** Empty: this end has no rules, and lets everything pass. */
  readonly said: readonly Said[];
}

interface Asked {
  readonly peers: readonly AddressRange[];
  readonly services: readonly Span[];
  readonly family: Family;
  readonly wide: boolean;
}

/** What an end says about these peers and services, piece by piece. */
function* piecesOf(world: World, { chain }: End, direction: Direction, asked: Asked): Generator<Piece> {
  const { peers, services, family, wide } = asked;
  if (chain === null) {
    for (const peer of peers) for (const span of services) yield { peer, span, verdict: 'allow', said: [] };
    return;
  }
  const { table, positionOf } = world.tableOf(chain, wide);
  for (const [peer, row] of rowsIn(table[family], peers)) {
    for (const segment of row) {
      const { verdict } = segment.label;
      const said = [{ direction, verdict, position: positionOf(segment.label) }];
      for (const span of intersectSpans([segment], services)) yield { peer, span, verdict, said };
    }
  }
}

type Pair = Pick<FoundFlow, 'source' | 'destination'>;

/** What a container sends to itself never leaves it: two addresses that aren't one container's, if there are any. */
function pickPair(world: World, family: Family, source: AddressRange, destination: AddressRange): Pair | undefined {
  const pair = { source: source.first, destination: destination.first };
  const owner = world.ownerOf(pair.source, family);
  if (owner === undefined || owner.container !== world.ownerOf(pair.destination, family)?.container) return pair;
  const owned = world.ownedOf(owner.container)[family];
  const [from] = subtractRanges([source], owned);
  const [to] = subtractRanges([destination], owned);
  if (from !== undefined) return { ...pair, source: from.first };
  return to === undefined ? undefined : { ...pair, destination: to.first };
}
