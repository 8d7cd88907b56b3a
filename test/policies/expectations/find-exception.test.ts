/** Exact: an expectation without an exception holds for every packet, and an exception is a packet that breaks it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectedFlows, isAsExpected } from '../../../policies/expectations/expectation.ts';
import { exceptionsOf, findException, judgedTable } from '../../../policies/expectations/find-exception.ts';
import { flowsOfChain } from '../../../policies/flows/chain-flows.ts';
import { labelAt, rowsIn } from '../../../policies/flows/flow-table.ts';
import { factsOf } from '../../../policies/flows/peer-addresses.ts';
import { placeOfPacket } from '../../../policies/flows/service-line.ts';
import { evaluateChain } from '../../../policies/model.ts';
import { addressNumber } from '../../../render/address.ts';
import type { PolicyChain } from '../../../render/rule.ts';
import { chain, host, packet, rangesOf } from '../flows/random-chains.ts';
import { address } from '../packets.ts';

/** What was answered counts in the kernel and never in an expectation. */
const nameless = { ...host, dns: new Map() };
const facts = { addresses: nameless, accept: { 4: [], 6: [] } };
/** No rule refuses a name. */
const written = (maxLength?: number): fc.Arbitrary<PolicyChain> =>
  chain('egress', maxLength).map((one) => ({
    ...one,
    rules: one.rules.map((rule) =>
      rule.peer.kind === 'dns' && rule.action !== 'log' ? { ...rule, action: 'allow' as const } : rule,
    ),
  }));
const verdict = fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const);
const packets = fc.array(packet('egress'), { minLength: 20, maxLength: 60 });

test('a chain that is asked many things answers each of them as if it were the only one', () => {
  const asked = fc.record({ verdict, matches: written(1).map(({ rules }) => rules) });
  fc.assert(
    fc.property(written(), fc.array(asked, { maxLength: 5 }), (one, all) => {
      const exceptionTo = exceptionsOf(one, all, facts);
      for (const each of all)
        expect(exceptionTo(each) !== undefined).toBe(findException(each, one, facts) !== undefined);
    }),
    { numRuns: 500 },
  );
});

test('where no exception is found, every packet is decided as expected, whatever names stand for', () => {
  fc.assert(
    fc.property(written(), written(1), verdict, packets, (one, { rules }, expected, sent) => {
      // A name is expected to be allowed through rules for the name itself.
      const matches = rules.filter(({ peer }) => peer.kind !== 'dns');
      fc.pre(matches.length > 0);
      if (findException({ verdict: expected, matches }, one, facts) !== undefined) return;
      for (const each of sent) {
        const place = placeOfPacket(each);
        const { peers, services } = expectedFlows(matches, each.family, nameless);
        const peer = addressNumber(each.destination);
        const isMeant =
          peers.some(({ first, last }) => first <= peer && peer <= last) &&
          services.some(({ first, last }) => place !== undefined && first <= place && place <= last);
        if (!isMeant) continue;
        const decided = evaluateChain(one, each, factsOf(expected === 'allow' ? nameless : host)).verdict;
        expect(isAsExpected(decided, expected)).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});

test('an exception is a flow of the expectation, and the rule that is named decides it so', () => {
  fc.assert(
    fc.property(written(), written(1), verdict, (one, { rules: matches }, expected) => {
      fc.pre(matches.length > 0);
      const found = findException({ verdict: expected, matches }, one, facts);
      if (found === undefined) return;
      const { family, service } = found;
      // Names, and what never is on the wire: neither is an address of a packet.
      fc.pre(!/^(dns:|::ffff:)/.test(found.peer));
      const peer = addressNumber(address(found.peer));
      const { table } = judgedTable(one, facts, expected !== 'allow');
      const here = [{ family, first: peer, last: peer }];
      const [[, row] = [here, []]] = rowsIn(table[family], here);
      const label = row.find(({ first, last }) => first <= service && service <= last)?.label;
      expect(isAsExpected(found.verdict, expected)).toBe(false);
      expect(label?.verdict).toBe(found.verdict);
      expect(label?.rule?.origin ?? null).toEqual(found.position === null ? null : one.rules[found.position]?.origin);
      const { peers, services } = expectedFlows(matches, family, nameless);
      expect(peers.some(({ first, last }) => first <= peer && peer <= last)).toBe(true);
      expect(services.some(({ first, last }) => first <= service && service <= last)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('a packet finds the label that its address has', () => {
  fc.assert(
    fc.property(chain('egress'), packet('egress'), (one, sent) => {
      const table = flowsOfChain(one, host);
      const at = addressNumber(sent.destination);
      const [[, row] = [undefined, []]] = rowsIn(table[sent.family], [{ family: sent.family, first: at, last: at }]);
      const place = placeOfPacket(sent) ?? -1;
      expect(row.find(({ first, last }) => first <= place && place <= last)?.label).toBe(
        labelAt(table, sent, sent.destination),
      );
    }),
  );
});

test('that containers nobody names are taken for one hides no exception and invents none', () => {
  const many = ['192.0.2.10', '198.51.100.16/28', '2001:db8::10', '2001:db8:c::/64'].concat(
    Array.from({ length: 40 }, (_, at) => [`203.0.113.${at * 5}`, `2001:db8:f::${at * 2}`]).flat(),
  );
  const all = { ...facts, addresses: { ...nameless, containers: rangesOf(...many) } };
  const outcomes = new Set<boolean>();
  fc.assert(
    fc.property(written(), written(1), verdict, (one, { rules: matches }, expected) => {
      fc.pre(matches.length > 0);
      const { table } = judgedTable(one, all, expected !== 'allow');
      const isBroken = ([4, 6] as const).some((family) => {
        const { peers, services } = expectedFlows(matches, family, all.addresses);
        return [...rowsIn(table[family], peers)].some(([, row]) =>
          row.some(
            (segment) =>
              !isAsExpected(segment.label.verdict, expected) &&
              services.some(({ first, last }) => first <= segment.last && segment.first <= last),
          ),
        );
      });
      outcomes.add(isBroken);
      expect(findException({ verdict: expected, matches }, one, all) !== undefined).toBe(isBroken);
    }),
    { numRuns: 500 },
  );
  expect(outcomes.size).toBe(2);
});
