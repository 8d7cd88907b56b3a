/** The flow model is exact: it says of every packet what evaluateChain says, and its algebra obeys the laws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Decision, flowsOfChain } from '../../../policies/flows/chain-flows.ts';
import { compareChains, sameMeaning } from '../../../policies/flows/compare-chains.ts';
import {
  ALL_FLOWS,
  allowedBy,
  equalSets,
  intersect,
  isEmptySet,
  isSubset,
  NO_FLOWS,
  subtract,
  unite,
} from '../../../policies/flows/flow-set.ts';
import { type FlowTable, labelAt } from '../../../policies/flows/flow-table.ts';
import { factsOf } from '../../../policies/flows/peer-addresses.ts';
import { LINE } from '../../../policies/flows/service-line.ts';
import { termsAt } from '../../../policies/flows/terms.ts';
import { evaluateChain, type Packet } from '../../../policies/model.ts';
import type { Direction, PolicyChain } from '../../../render/rule.ts';
import { chain, ENDS, endingChain, host, packet } from './random-chains.ts';

const facts = factsOf(host);
const DIRECTIONS: readonly Direction[] = ['egress', 'ingress'];
const peerOf = (direction: Direction, { source, destination }: Packet) =>
  direction === 'egress' ? destination : source;

const AFTER_ALL = 2_000_000_000;

/** What passes only because the chain observes does so by the line that says so. */
function ruling(one: PolicyChain, sent: Packet) {
  const { verdict, rule, steps } = evaluateChain(one, sent, facts);
  const observes = steps.at(-1)?.observed === undefined ? undefined : one.observe;
  const later = evaluateChain(chainAt(one, AFTER_ALL), sent, facts).verdict;
  return { verdict, later, origin: (observes ?? rule)?.origin ?? null };
}

describe.each(DIRECTIONS)('%s', (direction) => {
  test('a table decides every packet as the chain does, by the same rule', () => {
    fc.assert(
      fc.property(chain(direction), fc.array(packet(direction), { minLength: 20, maxLength: 40 }), (one, packets) => {
        const table = flowsOfChain(one, host);
        for (const sent of packets) {
          const decision = labelAt(table, sent, peerOf(direction, sent));
          const { verdict, rule } = evaluateChain(one, sent, facts);
          expect(decision?.verdict).toBe(verdict);
          expect(decision?.rule).toBe(rule);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a flow is in the difference of two chains exactly where its verdict differs, now or later', () => {
    fc.assert(
      fc.property(
        chain(direction),
        chain(direction),
        fc.array(packet(direction), { minLength: 20, maxLength: 40 }),
        (before, after, packets) => {
          const changes = compareChains(before, after, host);
          for (const sent of packets) {
            const [old, next] = [before, after].map((one) => ruling(one, sent));
            const change = labelAt(changes, sent, peerOf(direction, sent));
            if (old?.verdict === next?.verdict && old?.later === next?.later) expect(change).toBeNull();
            else {
              expect(change?.before).toMatchObject({ terms: { verdict: old?.verdict }, origin: old?.origin });
              expect(change?.after).toMatchObject({ terms: { verdict: next?.verdict }, origin: next?.origin });
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

test('a table tells what holds at every moment, though rules end', () => {
  fc.assert(
    fc.property(endingChain('egress'), fc.array(packet('egress'), { minLength: 20, maxLength: 40 }), (one, packets) => {
      const table = flowsOfChain(one, host);
      for (const sent of packets) {
        for (const now of [0, ...ENDS]) {
          const decision = labelAt(table, sent, sent.destination);
          const { verdict } = evaluateChain(chainAt(one, now), sent, facts);
          expect(decision && termsAt(decision, now).verdict).toBe(verdict);
        }
      }
    }),
    { numRuns: 300 },
  );
});

function chainAt({ observe, ...one }: PolicyChain, now: number): PolicyChain {
  const rules = one.rules.filter(({ until }) => until === undefined || until > now);
  return { ...one, rules, ...(observe !== undefined && observe.until > now ? { observe } : {}) };
}

const set = chain('egress', 5).map((one) => allowedBy(flowsOfChain(one, host)));

describe('the algebra of sets of flows', () => {
  const laws = (name: string, law: (a: FlowTable<boolean>, b: FlowTable<boolean>, c: FlowTable<boolean>) => void) =>
    test(name, () => fc.assert(fc.property(set, set, set, law), { numRuns: 100 }));

  laws('union and intersection commute, associate and absorb each other', (a, b, c) => {
    expect(unite(a, b)).toEqual(unite(b, a));
    expect(intersect(a, b)).toEqual(intersect(b, a));
    expect(unite(a, unite(b, c))).toEqual(unite(unite(a, b), c));
    expect(intersect(a, intersect(b, c))).toEqual(intersect(intersect(a, b), c));
    expect(unite(a, intersect(a, b))).toEqual(a);
    expect(intersect(a, unite(a, b))).toEqual(a);
  });

  laws('each distributes over the other', (a, b, c) => {
    expect(intersect(a, unite(b, c))).toEqual(unite(intersect(a, b), intersect(a, c)));
    expect(unite(a, intersect(b, c))).toEqual(intersect(unite(a, b), unite(a, c)));
  });

  laws('a difference is what is left, and both parts make the whole again', (a, b) => {
    expect(isEmptySet(intersect(subtract(a, b), b))).toBe(true);
    expect(unite(subtract(a, b), intersect(a, b))).toEqual(a);
    expect(subtract(a, unite(a, b))).toEqual(NO_FLOWS);
    expect(subtract(ALL_FLOWS, subtract(ALL_FLOWS, a))).toEqual(a);
  });

  laws('equality and inclusion agree', (a, b) => {
    expect(equalSets(a, b)).toBe(isSubset(a, b) && isSubset(b, a));
    expect(isSubset(intersect(a, b), a)).toBe(true);
    expect(isSubset(a, unite(a, b))).toBe(true);
    expect(equalSets(a, a)).toBe(true);
  });
});

test('rows cover the whole line, and neither rows nor stretches repeat themselves', () => {
  fc.assert(
    fc.property(chain('egress'), (one) => {
      const table: FlowTable<Decision> = flowsOfChain(one, host);
      for (const family of [4, 6] as const) {
        const { starts, rows } = table[family];
        expect(starts[0]).toBe(0n);
        for (const [index, row] of rows.entries()) {
          if (index > 0) expect(row).not.toBe(rows[index - 1]);
          const size = row.reduce((sum, { first, last }) => sum + last - first + 1, 0);
          expect(size).toBe(LINE[family].reduce((sum, { first, last }) => sum + last - first + 1, 0));
        }
      }
    }),
    { numRuns: 100 },
  );
});

test('chains mean the same where only their wording differs', () => {
  const rule = { log: false, action: 'allow', peer: { kind: 'any' } } as const;
  const web = { ...rule, service: { kind: 'ports', protocol: 6, ports: [{ first: 80, last: 81 }] } } as const;
  const one = { direction: 'egress', rules: [{ ...web, origin: { file: 'a.yaml', line: 1 } }] } as const;
  const split = [80, 81].map((port, line) => ({
    ...rule,
    service: { kind: 'ports', protocol: 6, ports: [{ first: port, last: port }] } as const,
    origin: { file: 'b.yaml', line },
  }));
  const byDefault = { verdict: 'drop', log: false, origin: null } as const;
  const a = { ...one, default: byDefault };
  expect(sameMeaning(a, { direction: 'egress', rules: split, default: byDefault }, host)).toBe(true);
  expect(sameMeaning(a, { direction: 'egress', rules: split.slice(1), default: byDefault }, host)).toBe(false);
});
