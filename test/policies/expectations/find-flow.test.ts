/** The search between two ends against asking both chains about one flow after another. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAsExpected } from '../../../policies/expectations/expectation.ts';
import { findFlow } from '../../../policies/expectations/find-flow.ts';
import { createWorld, type Party } from '../../../policies/expectations/world.ts';
import { factsOf } from '../../../policies/flows/peer-addresses.ts';
import { ICMP_AT, PORTED_AT } from '../../../policies/flows/service-line.ts';
import { evaluateChain, type Packet } from '../../../policies/model.ts';
import { addressNumber } from '../../../render/address.ts';
import { chain, host, rangesOf } from '../flows/random-chains.ts';
import { address } from '../packets.ts';

const nameless = { ...host, dns: new Map() };
const facts = { addresses: nameless, accept: { 4: [], 6: [] } };
const OWNED = { a: '192.0.2.10', b: '198.51.100.16/28' };
/** Two of a, two of b, and two that have no rules here. */
const ADDRESSES = ['192.0.2.10', '198.51.100.16', '198.51.100.20', '192.0.2.1', '203.0.113.5'].map(address);
const SERVICES = [
  { place: PORTED_AT[6] + 80, protocol: 6, port: 80 },
  { place: PORTED_AT[17] + 65535, protocol: 17, port: 65535 },
  { place: ICMP_AT[4] + 8, protocol: 1, icmpType: 8 },
];

const pair = fc.record({ egress: chain('egress', 4), ingress: chain('ingress', 4) });
const verdict = fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const);

test('a flow is found where one is, and none where there is none', () => {
  const outcomes = new Set<boolean>();
  fc.assert(
    fc.property(pair, pair, fc.boolean(), verdict, (a, other, isTwin, expected) => {
      const b = isTwin ? a : other;
      const parties: Party[] = [
        { container: 'a', ...a, owned: rangesOf(OWNED.a) },
        { container: 'b', ...b, owned: rangesOf(OWNED.b) },
      ];
      const world = createWorld(parties, facts);
      const chainsOf = (of: string) => parties.find(({ container }) => of === container);
      const ownerOf = (at: (typeof ADDRESSES)[number]) => world.ownerOf(addressNumber(at), 4)?.container ?? '';
      for (const source of ADDRESSES) {
        for (const destination of ADDRESSES) {
          const [from, to] = [chainsOf(ownerOf(source)), chainsOf(ownerOf(destination))];
          for (const { place, ...fields } of SERVICES) {
            const packet: Packet = { family: 4, source, destination, ...fields };
            const told = [from && evaluateChain(from.egress, packet, factsOf(nameless)).verdict].concat(
              to && evaluateChain(to.ingress, packet, factsOf(nameless)).verdict,
            );
            const decided = told.find((one) => one !== undefined && one !== 'allow') ?? 'allow';
            const isOurs = (from ?? to) !== undefined && from !== to;
            const range = (at: typeof source) => [
              { family: 4 as const, first: addressNumber(at), last: addressNumber(at) },
            ];
            const [sources, destinations] = [range(source), range(destination)];
            const services = [{ first: place, last: place }];
            const found = findFlow(world, { family: 4, sources, destinations, services, expected });
            const hasNames = [from?.egress, to?.ingress].some((one) =>
              one?.rules.some(({ peer }) => peer.kind === 'dns'),
            );
            // Names are taken for more than they mean.
            if (hasNames) continue;
            outcomes.add(typeof found === 'object');
            expect(typeof found === 'object').toBe(isOurs && !isAsExpected(decided, expected));
          }
        }
      }
    }),
    { numRuns: 60 },
  );
  expect([...outcomes].sort()).toEqual([false, true]);
});

test('an exception between wide ranges is one flow that breaks the expectation', () => {
  fc.assert(
    fc.property(pair, pair, verdict, (a, b, expected) => {
      const parties: Party[] = [
        { container: 'a', ...a, owned: rangesOf(OWNED.a) },
        { container: 'b', ...b, owned: rangesOf(OWNED.b) },
      ];
      const world = createWorld(parties, facts);
      const services = SERVICES.map(({ place }) => ({ first: place, last: place }));
      const sources = rangesOf('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24')[4];
      const question = { family: 4 as const, sources, destinations: sources, services, expected };
      const found = findFlow(world, question);
      if (typeof found !== 'object') return;
      const point = (at: bigint) => [{ family: 4 as const, first: at, last: at }];
      const one = { ...question, sources: point(found.source), destinations: point(found.destination) };
      const again = findFlow(world, { ...one, services: [{ first: found.service, last: found.service }] });
      expect(again).toEqual(found);
      expect(isAsExpected(found.verdict, expected)).toBe(false);
    }),
    { numRuns: 200 },
  );
});
