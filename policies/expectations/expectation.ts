/** `expect:` of a policy: what must become of flows of the container, whatever the rules say. */
import type { AddressRange, Family } from '../../render/address.ts';
import { mergeRanges } from '../../render/address.ts';
import type { Direction, Rule, Verdict } from '../../render/rule.ts';
import type { CompileContext, Layer } from '../compile-context.ts';
import { compileRule } from '../compile-rule.ts';
import { intersectRanges } from '../flows/address-ranges.ts';
import { type HostAddresses, rangesOfPeer } from '../flows/peer-addresses.ts';
import { spansOfService } from '../flows/service-line.ts';
import { mergeSpans, type Span } from '../flows/spans.ts';
import type { Path } from '../places.ts';
import type { Expectation as Written } from '../policy.gen.ts';
import type { PolicyDocument } from '../policy-document.ts';
import type { Problem } from '../problem.ts';
import { routable } from './expectation-facts.ts';

export interface Expectation {
  /** egress: of flows from the container; ingress: to it. */
  readonly direction: Direction;
  readonly verdict: Verdict;
  /** The flows that it is about, as rules would match them. */
  readonly matches: readonly Rule[];
  /** Such as `drop tcp/53 to any`. */
  readonly text: string;
  /** The file that it stands in, relative to the policy folder. */
  readonly file: string;
  /** The complaint, at the place of the expectation. */
  readonly problem: (message: string) => Problem;
}

/** What the container's own file and its profiles expect; mistakes are reported. */
export function compileExpectations(layers: readonly Layer[], context: CompileContext): Expectation[] {
  return layers.flatMap(({ document, policy }) =>
    (policy.expect ?? []).flatMap((written, index) => compileOne(written, ['expect', index], document, context)),
  );
}

function compileOne(written: Written, path: Path, document: PolicyDocument, context: CompileContext): Expectation[] {
  const { to, from, comment: _, ...action } = written;
  const direction = to === undefined ? 'ingress' : 'egress';
  // The schema sees to it that there is one of them.
  const peers = to ?? from ?? [];
  const rule = to === undefined ? { ...action, from: from ?? 'any' } : { ...action, to };
  const matches = compileRule(rule, path, document, context);
  const verdict = verdictOf(written);
  const problem = (message: string): Problem => document.problemAt(path, message);
  const text = `${verdict} ${wordsText(written[verdict])} ${direction === 'egress' ? 'to' : 'from'} ${wordsText(peers)}`;
  return matches.length === 0 ? [] : [{ direction, verdict, matches, text, file: document.file, problem }];
}

export const verdictOf = ({ drop, reject }: Pick<Written, 'drop' | 'reject'>): Verdict =>
  drop !== undefined ? 'drop' : reject !== undefined ? 'reject' : 'allow';

export const wordsText = (words: string | readonly string[] = []): string => [words].flat().join(', ');

/** What must not pass may be refused either way. */
export const isAsExpected = (verdict: Verdict, expected: Verdict): boolean =>
  expected === 'drop' ? verdict !== 'allow' : verdict === expected;

export interface ExpectedFlows {
  readonly peers: readonly AddressRange[];
  /** Places of the service line. */
  readonly services: readonly Span[];
}

/** The flows of one family that an expectation is about: all its peers with all its services. */
export function expectedFlows(matches: readonly Rule[], family: Family, addresses: HostAddresses): ExpectedFlows {
  const present = matches.filter((rule) => rule.family === undefined || rule.family === family);
  return {
    peers: mergeRanges(present.flatMap(({ peer }) => rangesOfExpected(peer, family, addresses))),
    services: mergeSpans(present.flatMap(({ service }) => spansOfService(service, family))),
  };
}

/** A name keeps the place that stands for it behind all addresses; nothing else reaches there. */
function rangesOfExpected(peer: Rule['peer'], family: Family, addresses: HostAddresses): readonly AddressRange[] {
  const ranges = rangesOfPeer(peer, family, addresses);
  return peer.kind === 'dns' ? ranges : intersectRanges(ranges, routable[family]);
}
